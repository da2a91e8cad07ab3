//! How a plugin is started and what it is offered.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rapace_session::{BuildError, Limits, Service, TokioRuntime};
use tokio::sync::watch;
use tracing::Level;

use super::error::PluginError;
use super::handle::PluginHost;
use super::reconnect::WhenDown;
use super::state::Shared;
use super::supervisor::{Supervisor, Wish};
use crate::process::Launch;
use crate::restart::{Restart, Restarts};
use crate::wire::Wire;

/// Where Linux keeps the program of the asking process.
const OWN_PROGRAM: &str = "/proc/self/exe";

/// The recipe for a plugin: what to execute, what to offer to it, what to do when it dies.
///
/// Nothing happens before [`Plugin::spawn`].
#[must_use = "a plugin is started by `spawn`"]
pub struct Plugin {
    launch: Launch,
    name: Option<String>,
    services: Vec<Arc<dyn Service>>,
    limits: Limits,
    host_name: Option<String>,
    restart: Restart,
    when_down: WhenDown,
    repeats_max: u32,
    drain_timeout: Duration,
    exit_timeout: Duration,
}

impl Plugin {
    /// A plugin in an executable of its own. A name without a slash is searched in `PATH`.
    pub fn command(program: impl AsRef<OsStr>) -> Self {
        Plugin {
            launch: Launch {
                name: "".into(),
                program: PathBuf::from(program.as_ref()),
                arg0: None,
                args: Vec::new(),
                env: Vec::new(),
                env_clear: false,
                current_dir: None,
                own_process_group: true,
                wire: Wire::default(),
                stdout_level: Some(Level::INFO),
                stderr_level: Some(Level::WARN),
                stderr_lines_max: 20,
            },
            name: None,
            services: Vec::new(),
            limits: Limits::default(),
            host_name: None,
            restart: Restart::default(),
            when_down: WhenDown::default(),
            repeats_max: 3,
            drain_timeout: Duration::from_secs(5),
            exit_timeout: Duration::from_secs(2),
        }
    }

    /// A plugin in the executable that is running now, which tells its two roles apart by an
    /// argument: `Plugin::current_exe().arg("--plugin").arg("markdown")`.
    ///
    /// On Linux this is the very program that runs, even if its file has been replaced or deleted
    /// since: a host never gets a plugin of another version.
    pub fn current_exe() -> Self {
        // What cannot be found out here cannot be executed later, and `spawn` says so.
        let path = std::env::current_exe().unwrap_or_default();
        let mut plugin = Plugin::command(&path);
        plugin.name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        if cfg!(target_os = "linux") && Path::new(OWN_PROGRAM).exists() {
            plugin.launch.program = OWN_PROGRAM.into();
            plugin.launch.arg0 = Some(path.into());
        }
        plugin
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.launch.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.launch.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable for the plugin. It inherits the host's otherwise.
    pub fn env(mut self, key: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.launch.env.push((key.into(), Some(value.into())));
        self
    }

    /// Removes an environment variable.
    pub fn env_remove(mut self, key: impl Into<OsString>) -> Self {
        self.launch.env.push((key.into(), None));
        self
    }

    /// Lets the plugin inherit nothing of the host's environment; what [`Plugin::env`] sets, also
    /// before, stays.
    pub fn env_clear(mut self) -> Self {
        self.launch.env_clear = true;
        self
    }

    /// The directory to start it in. Default: the host's.
    pub fn current_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.launch.current_dir = Some(dir.into());
        self
    }

    /// What the plugin is called in logs and errors. Default: the file name of the executable.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Offers a service to the plugin, for its calls back; every life gets the same one.
    pub fn serve(self, service: impl Service) -> Self {
        self.serve_shared(Arc::new(service))
    }

    /// Offers a service that other plugins are offered too.
    pub fn serve_shared(mut self, service: Arc<dyn Service>) -> Self {
        self.services.push(service);
        self
    }

    /// Bounds of everything that can grow in the session, and its timeouts. Default:
    /// [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How long the plugin may take to complete the handshake after its start. Default: 10 s; at
    /// most 30 s. Overwritten by a later [`Plugin::limits`].
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.limits.handshake_timeout = timeout;
        self
    }

    /// The name that the host gives itself towards the plugin. Default: none.
    pub fn host_name(mut self, name: impl Into<String>) -> Self {
        self.host_name = Some(name.into());
        self
    }

    /// What happens after the plugin went down. Default: it is restarted, at most 5 times in 10 s.
    pub fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// What calls do that are made while the plugin is down. Default: they wait.
    pub fn when_down(mut self, when_down: WhenDown) -> Self {
        self.when_down = when_down;
        self
    }

    /// Over which kind of link the two speak. Default: [`Wire::default`], shared memory on Linux.
    pub fn wire(mut self, wire: Wire) -> Self {
        self.launch.wire = wire;
        self
    }

    /// How often a call is repeated that a death interrupted, if its method is idempotent or the
    /// request certainly was not processed. Default: 3. Raising it makes a request that crashes the
    /// plugin crash it more often.
    pub fn repeats_max(mut self, repeats: u32) -> Self {
        self.repeats_max = repeats;
        self
    }

    /// At which levels the lines that the plugin writes to its standard output and standard error
    /// are forwarded to tracing (target `rapace::plugin`); `None` drops them. Default: `INFO` and
    /// `WARN`.
    pub fn output_levels(mut self, stdout: Option<Level>, stderr: Option<Level>) -> Self {
        self.launch.stdout_level = stdout;
        self.launch.stderr_level = stderr;
        self
    }

    /// How many of the last lines of standard error the report of the plugin's death carries, each
    /// of at most 4 KiB. Default: 20.
    pub fn stderr_lines(mut self, lines_max: usize) -> Self {
        self.launch.stderr_lines_max = lines_max;
        self
    }

    /// Whether the plugin leads a process group of its own. Default: yes. Then a Ctrl-C on the
    /// terminal reaches the host alone, which can stop its plugins in good order, and signals from
    /// the host also reach the plugin's own children.
    pub fn own_process_group(mut self, own: bool) -> Self {
        self.launch.own_process_group = own;
        self
    }

    /// How long [`PluginHost::shutdown`] waits for calls under way, and then for the process to
    /// end by itself. Default: 5 s and 2 s. After that come SIGTERM and, half a second later,
    /// SIGKILL.
    pub fn shutdown_timeouts(mut self, drain: Duration, exit: Duration) -> Self {
        self.drain_timeout = drain;
        self.exit_timeout = exit;
        self
    }

    /// Starts the plugin and the task that watches it. Returns as soon as the process runs;
    /// [`PluginHost::ready`] tells when it answers.
    ///
    /// When the future is dropped, or its runtime is, the process is killed.
    ///
    /// Cost: a `fork` on a thread of its own, 0.7 ms for a small host, and about 30 ms more for
    /// every GiB that the host has resident. (The system's cheaper way to start a process cannot
    /// bind its life to its host's.)
    ///
    /// # Errors
    ///
    /// [`PluginError::NotStarted`] when the program cannot be executed, and
    /// [`PluginError::Build`] when a service cannot be served.
    ///
    /// # Panics
    ///
    /// In a tokio runtime without I/O or without time.
    pub async fn spawn(self) -> Result<PluginHost, PluginError> {
        let Plugin {
            mut launch,
            name,
            services,
            limits,
            host_name,
            restart,
            ..
        } = self;
        let runtime = TokioRuntime::current().ok_or(PluginError::Build(BuildError::NoRuntime))?;
        launch.name = match name {
            Some(name) => name.into(),
            None => match launch.program.file_name() {
                Some(name) => name.to_string_lossy().into(),
                None => launch.program.to_string_lossy().into(),
            },
        };
        let shared = Arc::new(Shared::new(launch.name.clone(), Arc::new(runtime)));
        let (wish, wish_receiver) = watch::channel(Wish::Run);
        let supervisor = Supervisor {
            launch,
            services,
            limits,
            host_name,
            restarts: Restarts::new(restart),
            drain_timeout: self.drain_timeout,
            exit_timeout: self.exit_timeout,
            shared: shared.clone(),
            wish: wish_receiver,
            life: 0,
            has_worked: false,
        };
        let started = supervisor.start().await?;
        tokio::spawn(supervisor.run(started));
        Ok(PluginHost {
            shared,
            wish,
            when_down: self.when_down,
            repeats_max: self.repeats_max,
        })
    }
}
