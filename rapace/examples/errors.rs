//! What can go wrong, and how each looks to the caller.
//!
//! `cargo run -p rapace --example errors`

use facet::Facet;
use rapace::{CallError, Code, Session};

/// An error of the service's own: ordinary data, sent like any other value.
#[derive(Facet, Debug, PartialEq)]
#[repr(u8)]
pub enum LoadError {
    /// There is no such file.
    Missing(String),
    /// The caller may not have it.
    Denied,
}

/// Knows files.
#[rapace::service]
pub trait Files {
    /// Loads a file.
    async fn load(&self, path: String) -> Result<String, LoadError>;
}

/// A later version of the plugin would serve this.
#[rapace::service]
pub trait Folders {
    /// Lists a folder.
    async fn list(&self, path: String) -> Vec<String>;
}

struct Disk;

impl Files for Disk {
    async fn load(&self, path: String) -> Result<String, LoadError> {
        match &*path {
            "readme" => Ok("read me".to_owned()),
            "passwords" => Err(LoadError::Denied),
            "cursed" => panic!("bad sector"),
            _ => Err(LoadError::Missing(path)),
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (host_end, plugin_end) = rapace::mem::pair();
    let crash = plugin_end.kill_switch();
    let _plugin = Session::builder()
        .serve(FilesServer::new(Disk))
        .accept(plugin_end)?;
    let host = Session::builder().connect(host_end)?;
    let files: FilesClient = host.client();
    for path in ["readme", "passwords", "nothing"] {
        println!("{path}: {:?}", files.load(path.to_owned()).await?);
    }

    // A panic in a handler ends this call, and nothing else.
    let panicked = files.load("cursed".to_owned()).await.unwrap_err();
    println!("cursed: {panicked}");
    assert_eq!(panicked.code(), Code::INTERNAL);

    // A method that the peer does not have.
    let folders: FoldersClient = host.client();
    let unknown = folders.list("/".to_owned()).await.unwrap_err();
    println!("list: {unknown}");
    assert_eq!(unknown.code(), Code::UNIMPLEMENTED);

    // The peer dies. What was under way may have run; what comes later certainly does not.
    crash.kill();
    host.closed().await;
    let gone: CallError = files.load("readme".to_owned()).await.unwrap_err();
    println!(
        "after the crash: {gone}; safe to retry: {}",
        gone.is_safe_to_retry()
    );
    assert!(gone.is_safe_to_retry());
    Ok(())
}
