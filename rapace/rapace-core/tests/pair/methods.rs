//! The methods that both sides of the tests serve.

use std::sync::Arc;

use rapace_core::session::{
    Config, Direction, Features, Limits, PortDecl, PortKind, Role, ServedMethod,
};
use rapace_core::{DeadlineForm, MethodId};

pub const UNARY: u32 = 0x11;
/// Port 1, to the server, required.
pub const SUM: u32 = 0x22;
/// Port 101, to the client, required.
pub const COUNT: u32 = 0x33;
/// Ports 1 and 101, required.
pub const RELAY: u32 = 0x44;
/// Port 1, a tunnel.
pub const PIPE: u32 = 0x55;
/// Ports 1 and 101, both optional.
pub const MAYBE: u32 = 0x66;

pub const METHODS: [u32; 6] = [UNARY, SUM, COUNT, RELAY, PIPE, MAYBE];

const fn stream(port: u32, required: bool) -> PortDecl {
    PortDecl {
        port,
        kind: PortKind::Stream,
        direction: if port < 101 {
            Direction::ClientToServer
        } else {
            Direction::ServerToClient
        },
        required,
    }
}

/// The ports of a method of these.
pub fn ports(method: u32) -> &'static [PortDecl] {
    const TUNNEL: PortDecl = PortDecl {
        port: 1,
        kind: PortKind::Tunnel,
        direction: Direction::Bidir,
        required: true,
    };
    match method {
        SUM => const { &[stream(1, true)] },
        COUNT => const { &[stream(101, true)] },
        RELAY => const { &[stream(1, true), stream(101, true)] },
        PIPE => const { &[TUNNEL] },
        MAYBE => const { &[stream(1, false), stream(101, false)] },
        _ => &[],
    }
}

/// Everything on; small enough a window to be reached.
pub fn config(role: Role) -> Config {
    let served = METHODS.map(|id| ServedMethod {
        id: MethodId(id),
        name: format!("Test.m{id:x}"),
        sig_hash: [id as u8; 32],
        ports: ports(id).to_vec(),
    });
    Config {
        role,
        limits: Limits {
            window_bytes: 1000,
            ..Limits::default()
        },
        deadline_form: DeadlineForm::Remaining,
        epoch: match role {
            Role::Initiator => 100,
            Role::Acceptor => 200,
        },
        peer_name: None,
        methods: Arc::new(served.into_iter().collect()),
        features: Features::all(),
    }
}
