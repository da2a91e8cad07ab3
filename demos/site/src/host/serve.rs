//! Serving a site on this machine, and building it again when its sources change.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::header;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::routing::get;
use futures_util::stream::{self, Stream};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tower_http::services::ServeDir;

use super::build::Builder;
use super::progress::Progress;
use super::theme::LIVE_SCRIPT;

/// How long a source must be quiet before the site is built again. Editors write in several steps.
const QUIET: Duration = Duration::from_millis(150);

/// How many times [`QUIET`] is waited for at most, for sources that never are.
const MOST_WAITS: usize = 20;

/// Why serving ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    /// The port could not be had.
    #[error("cannot listen on port {port}: {source}; choose another with --port")]
    Listen {
        /// Which port.
        port: u16,
        /// What the system says.
        source: std::io::Error,
    },
    /// The sources could not be watched.
    #[error("cannot watch the sources: {0}")]
    Watch(#[from] notify::Error),
    /// The server failed.
    #[error("the server failed: {0}")]
    Server(std::io::Error),
}

/// What open pages are told.
#[derive(Clone, Debug, Default)]
struct News {
    /// Rises with every build that changed something.
    build: u64,
    /// What is wrong with the last one; empty when it went well.
    fault: String,
}

/// Serves `out` on `port` of the loopback address, and builds again whenever a source changes.
///
/// Runs until it is cancelled by dropping it, or until the server fails.
pub(crate) async fn serve(
    builder: &Builder,
    content: &Path,
    out: &Path,
    port: u16,
    progress: Progress,
) -> Result<(), ServeError> {
    let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .await
        .map_err(|source| ServeError::Listen { port, source })?;
    let address = listener.local_addr().map_err(ServeError::Server)?;
    let (news, _) = watch::channel(News::default());
    let news = Arc::new(news);

    // One place is enough: a change that finds it taken is covered by the build that is coming.
    let (changed, changes) = mpsc::channel(1);
    let mut watcher = watch_content(content, out, changed)?;
    let outside = rebuild(builder, &progress, &news).await;
    for folder in outside {
        // Not recursive: such a folder may be the root of a repository with its build products.
        watcher.watch(&folder, RecursiveMode::NonRecursive)?;
    }
    println!("serving http://{address}/");

    let app = router(out, news.clone());
    tokio::select! {
        biased;
        served = async { axum::serve(listener, app).await } => served.map_err(ServeError::Server),
        never = rebuild_on_changes(builder, changes, &news) => match never {},
    }
}

/// Watches the content; sends to `changed` whenever something in it is written, made or removed.
fn watch_content(
    content: &Path,
    out: &Path,
    changed: mpsc::Sender<()>,
) -> Result<RecommendedWatcher, ServeError> {
    let absolute = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let (content, out) = (absolute(content), absolute(out));
    let inside = content.clone();
    let is_source = move |path: &PathBuf| {
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        let page = path.extension().is_some_and(|extension| extension == "md");
        !hidden && !path.starts_with(&out) && (path.starts_with(&inside) || page)
    };
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Reading is reported too, and a build reads everything.
        let written = |event: &notify::Event| !matches!(event.kind, EventKind::Access(_));
        if event.is_ok_and(|event| written(&event) && event.paths.iter().any(&is_source)) {
            // Full means that a build is coming anyway.
            let _ = changed.try_send(());
        }
    })?;
    watcher.watch(&content, RecursiveMode::Recursive)?;
    Ok(watcher)
}

async fn rebuild_on_changes(
    builder: &Builder,
    mut changes: mpsc::Receiver<()>,
    news: &watch::Sender<News>,
) -> Infallible {
    loop {
        if changes.recv().await.is_none() {
            // The watcher is gone; what is built stays on show.
            return std::future::pending().await;
        }
        for _ in 0..MOST_WAITS {
            if !matches!(
                tokio::time::timeout(QUIET, changes.recv()).await,
                Ok(Some(()))
            ) {
                break;
            }
        }
        rebuild(builder, &Progress::Silent, news).await;
    }
}

/// Builds, tells the terminal and all open pages, and gives the folders outside the content.
async fn rebuild(
    builder: &Builder,
    progress: &Progress,
    news: &watch::Sender<News>,
) -> Vec<PathBuf> {
    let (outside, fault, changed) = match builder.build(progress).await {
        Ok(report) => {
            eprintln!("{report}");
            (
                report.outside,
                String::new(),
                report.written + report.removed > 0,
            )
        }
        Err(error) => {
            eprintln!("error: {error}");
            (Vec::new(), error.to_string(), false)
        }
    };
    news.send_if_modified(|news| {
        // A page that would look the same need not be loaded again.
        let worth_telling = changed || news.fault != fault;
        if worth_telling {
            news.build += 1;
            news.fault = fault;
        }
        worth_telling
    });
    outside
}

fn router(out: &Path, news: Arc<watch::Sender<News>>) -> Router {
    let script = || async { ([(header::CONTENT_TYPE, "text/javascript")], LIVE_SCRIPT) };
    Router::new()
        .route("/_live/script.js", get(script))
        .route(
            "/_live/news",
            get(move || async move {
                Sse::new(stories(news.subscribe())).keep_alive(KeepAlive::default())
            }),
        )
        .fallback_service(ServeDir::new(out))
}

/// An event for the state of things now, and one after every build.
fn stories(
    news: watch::Receiver<News>,
) -> impl Stream<Item = Result<Event, Infallible>> + Send + 'static {
    stream::unfold((news, true), |(mut news, first)| async move {
        if !first {
            news.changed().await.ok()?;
        }
        let now = news.borrow_and_update().clone();
        let event = if now.fault.is_empty() {
            Event::default().event("built").data(now.build.to_string())
        } else {
            Event::default().event("fault").data(now.fault)
        };
        Some((Ok(event), (news, false)))
    })
}
