//! The reconnecting side: what an application writes once for a peer that comes and goes.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rapace_session::{
    CallError, Caller, Client, Limits, NotSent, Reconnect, Runtime, Service, Session, TokioRuntime,
};
use tokio::time::timeout;

use crate::host::Host;
use crate::net::TcpStream;
use crate::plugin::PORT;

/// How long a connection may take to be made: a simulated connect may wait for ever on
/// a link that is held.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// The pause before the next try.
const PAUSE: Duration = Duration::from_millis(50);

/// What a call does that is made while the plugin is down.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WhenDown {
    /// It dials until there is a session, or until its deadline.
    #[default]
    Wait,
    /// It fails at once; [`Dialer::dial`] brings the session back.
    Fail,
}

/// Dials a plugin by its name and dials again when the session is over. Cheap to clone.
#[derive(Clone)]
pub struct Dialer {
    shared: Arc<Shared>,
}

struct Shared {
    host: Host,
    plugin: String,
    limits: Limits,
    when_down: WhenDown,
    repeats_max: u32,
    services: Vec<Arc<dyn Service>>,
    /// Held by whoever dials, so that many calls that find the plugin down make one connection.
    dialling: tokio::sync::Mutex<()>,
    session: Mutex<Option<Session>>,
    /// Connections that were never made.
    refused: AtomicU64,
}

/// Settings of a [`Dialer`].
pub struct Builder(Shared);

impl Builder {
    /// Changes the limits of its sessions. The handshake timeout among them bounds each try.
    /// Default: [`Limits::default`] with a handshake timeout of 1 s.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.0.limits = limits;
        self
    }

    /// What calls do while the plugin is down. Default: they wait.
    pub fn when_down(mut self, when_down: WhenDown) -> Self {
        self.0.when_down = when_down;
        self
    }

    /// How often a lost idempotent call is repeated. Default: 3 times.
    pub fn repeats_max(mut self, repeats_max: u32) -> Self {
        self.0.repeats_max = repeats_max;
        self
    }

    /// Serves `service` to the plugin.
    pub fn serve(mut self, service: impl Service) -> Self {
        self.0.services.push(Arc::new(service));
        self
    }

    /// The dialer. Nothing is dialled before the first call.
    pub fn build(self) -> Dialer {
        Dialer {
            shared: Arc::new(self.0),
        }
    }
}

impl Dialer {
    /// A dialer with default settings: see [`Dialer::builder`].
    pub fn new(host: &Host, plugin: &str) -> Self {
        Dialer::builder(host, plugin).build()
    }

    /// Starts a dialer of the plugin with the given name.
    pub fn builder(host: &Host, plugin: &str) -> Builder {
        Builder(Shared {
            host: host.clone(),
            plugin: plugin.to_owned(),
            limits: Limits {
                handshake_timeout: Duration::from_secs(1),
                ..Limits::default()
            },
            when_down: WhenDown::Wait,
            repeats_max: 3,
            services: Vec::new(),
            dialling: tokio::sync::Mutex::new(()),
            session: Mutex::new(None),
            refused: AtomicU64::new(0),
        })
    }

    /// A client that survives restarts of the plugin.
    pub fn client<C: Client>(&self) -> C {
        C::from_caller(Caller::supervised(Arc::new(self.clone())))
    }

    /// How often a lost idempotent call is repeated.
    pub fn repeats(&self) -> u32 {
        self.shared.repeats_max
    }

    /// How many tries to connect failed before there was a connection.
    pub fn refused(&self) -> u64 {
        self.shared.refused.load(Ordering::Relaxed)
    }

    /// The live session; dials until there is one. Cancel safe: a half-made connection is dropped,
    /// and whoever waits behind it dials next.
    pub async fn dial(&self) -> Session {
        let _turn = self.shared.dialling.lock().await;
        loop {
            if let Some(session) = self.current() {
                return session;
            }
            match self.try_once().await {
                Ok(session) => {
                    self.shared.set(Some(session.clone()));
                    return session;
                }
                Err(why) => {
                    self.shared
                        .host
                        .note(format!("cannot reach {}: {why}", self.shared.plugin));
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn try_once(&self) -> Result<Session, String> {
        let connect = TcpStream::connect((self.shared.plugin.as_str(), PORT));
        let refused = match timeout(CONNECT_TIMEOUT, connect).await {
            Ok(Ok(stream)) => return self.shake_hands(stream).await,
            Ok(Err(error)) => error.kind().to_string(),
            Err(_) => "connecting takes too long".to_owned(),
        };
        self.shared.refused.fetch_add(1, Ordering::Relaxed);
        Err(refused)
    }

    async fn shake_hands(&self, stream: TcpStream) -> Result<Session, String> {
        let Shared {
            host,
            plugin,
            limits,
            services,
            ..
        } = &*self.shared;
        let mut builder = Session::builder()
            .name(host.name())
            .epoch(host.life())
            .limits(limits.clone());
        for service in services {
            builder = builder.serve_shared(service.clone());
        }
        let session = builder
            .connect(host.link(stream))
            .map_err(|error| error.to_string())?;
        host.watch(&format!("dialled {plugin}"), &session);
        session.ready().await.map_err(|end| end.to_string())?;
        Ok(session)
    }
}

impl Shared {
    fn set(&self, session: Option<Session>) {
        *self.session.lock().unwrap_or_else(PoisonError::into_inner) = session;
    }
}

impl Reconnect for Dialer {
    fn current(&self) -> Option<Session> {
        let session = self
            .shared
            .session
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        session.clone().filter(|session| session.end().is_none())
    }

    fn session(&self) -> Pin<Box<dyn Future<Output = Result<Session, CallError>> + Send>> {
        let dialer = self.clone();
        Box::pin(async move {
            if dialer.shared.when_down == WhenDown::Fail {
                let why = format!("{} is down", dialer.shared.plugin);
                return Err(CallError::NotSent(NotSent::Down(why.into())));
            }
            Ok(dialer.dial().await)
        })
    }

    fn runtime(&self) -> Arc<dyn Runtime> {
        // A host's life is one tokio runtime, and a dialer never outlives it.
        Arc::new(TokioRuntime::current().expect("a dialer lives inside a host"))
    }

    fn retries_max(&self) -> u32 {
        self.shared.repeats_max
    }
}
