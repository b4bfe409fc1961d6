//! What a worker process is given of its host, and what it may do.

use crate::buffer::link::CHANNEL_FD;
use crate::debug::DEBUG_ENV;
use crate::error::StartError;
use crate::passed::Passed;
use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// What a worker process is given of its host, and what it may do: see
/// [`Builder::isolation`](crate::Builder::isolation).
///
/// The default is strict: of the environment only [`Self::INHERITED`], no new privileges by programs
/// that it starts, of the descriptors those of its lane and the output streams, however others were opened. None
/// of it keeps a program from reading files or from using the network: run workers behind a command that does, such as
/// `bwrap`, for that.
///
/// # Examples
///
/// ```
/// use knit_lanes::{Isolation, Output, Pool, ResourceLimit};
///
/// let isolation = Isolation::default()
///     .env("MODEL", "small")
///     .inherit_env(["SSL_CERT_FILE"])
///     .stdout(Output::Null)
///     .limit(ResourceLimit::OpenFiles, 256);
/// let builder = Pool::builder().processes(2).isolation(isolation);
/// # drop(builder);
/// ```
#[derive(Clone, Debug)]
#[must_use = "settings do nothing until a builder has them"]
pub struct Isolation {
    /// Names of variables; `None` for all.
    inherited: Option<Vec<OsString>>,
    set: Vec<(OsString, OsString)>,
    stdout: Output,
    stderr: Output,
    pub(crate) new_privileges: bool,
    /// Whether workers have all descriptors of the host that are not close-on-exec.
    all_descriptors: bool,
    /// Descriptors for workers, by their numbers there.
    passed: BTreeMap<u16, Arc<OwnedFd>>,
    limits: Vec<(ResourceLimit, u64)>,
}

/// The first descriptor of a worker that is none of a stream and none of its lane.
const FIRST_FREE: u16 = 4;

/// Where an output stream of workers goes.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Output {
    /// To that of the host.
    #[default]
    Inherit,
    /// Nowhere.
    Null,
    /// To a file, which all workers share: one on disk, or the writing end of a pipe that the host
    /// reads.
    File(Arc<File>),
}

/// What a worker process may have so much of, and no more (`setrlimit`(2)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResourceLimit {
    /// Bytes of address space. The lane itself takes two arenas: 128 MiB unless the builder says otherwise.
    AddressSpace,
    /// Bytes of memory for data: heap, stacks and private mappings.
    Data,
    /// Seconds of processor time; a worker that has had them is killed.
    ProcessorSeconds,
    /// Open descriptors.
    OpenFiles,
    /// Bytes of a file that is written.
    FileBytes,
    /// Bytes of a core dump.
    CoreBytes,
    /// Processes and threads of the user, all programs taken together.
    Processes,
}

impl Default for Isolation {
    fn default() -> Self {
        Self {
            inherited: Some(Self::INHERITED.iter().map(OsString::from).collect()),
            set: Vec::new(),
            stdout: Output::default(),
            stderr: Output::default(),
            new_privileges: false,
            all_descriptors: false,
            passed: BTreeMap::new(),
            limits: Vec::new(),
        }
    }
}

impl Isolation {
    /// The variables of the environment that workers have from their host unless they are told otherwise.
    pub const INHERITED: [&str; 8] =
        ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "RUST_BACKTRACE", DEBUG_ENV];

    /// As a program that is started in the usual way: the whole environment, privileges as programs
    /// on disk grant them, and the descriptors of the host that are not close-on-exec.
    pub fn none() -> Self {
        let settings = Self { inherited: None, new_privileges: true, ..Self::default() };
        settings.inherit_descriptors()
    }

    /// Workers have every descriptor of the host that is not close-on-exec. Rust's library opens none such; a C library may, and a host may have
    /// some from the program that started it. By default workers have none of them.
    pub fn inherit_descriptors(self) -> Self {
        Self { all_descriptors: true, ..self }
    }

    /// Workers have this file, socket or pipe as the descriptor with this number, which must be 4 or above: those below are the
    /// streams and the lane's. It is open there when the worker's `main` begins, and programs that the worker starts have
    /// it too. With a number that processes may not have (`RLIMIT_NOFILE` of the host) no worker starts. While one starts, the
    /// host has a copy under this number, where it is free there.
    ///
    /// ```
    /// use knit_lanes::Isolation;
    ///
    /// let log = std::fs::File::open("/dev/null")?;
    /// let isolation = Isolation::default().descriptor(4, log);
    /// # drop(isolation);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Panics
    ///
    /// The number is below 4.
    pub fn descriptor(mut self, number: u16, file: impl Into<OwnedFd>) -> Self {
        assert!(number >= FIRST_FREE, "descriptor {number}: those below {FIRST_FREE} are taken");
        self.passed.insert(number, Arc::new(file.into()));
        self
    }

    /// Workers have these variables of the host too, where it has them.
    pub fn inherit_env<N: Into<OsString>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        if let Some(inherited) = &mut self.inherited {
            inherited.extend(names.into_iter().map(Into::into));
        }
        self
    }

    /// Workers have this variable.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.set.push((name.into(), value.into()));
        self
    }

    /// Where workers' standard output goes. Default: to that of the host.
    pub fn stdout(self, output: Output) -> Self {
        Self { stdout: output, ..self }
    }

    /// Where workers' standard error goes. Default: to that of the host.
    pub fn stderr(self, output: Output) -> Self {
        Self { stderr: output, ..self }
    }

    /// Programs that a worker starts may gain privileges, by set-user-id bits for instance. A worker
    /// gives that up itself, before its first call, and so only programs that call
    /// [`Tasks::serve_if_worker`](crate::Tasks::serve_if_worker) do. It is given up for the thread that calls that and for
    /// those that are started from then on: threads that the program had before keep it.
    pub fn allow_new_privileges(self) -> Self {
        Self { new_privileges: true, ..self }
    }

    /// A worker has at most so much of this. Holds from the moment when the process has started.
    pub fn limit(mut self, resource: ResourceLimit, most: u64) -> Self {
        self.limits.push((resource, most));
        self
    }

    /// The descriptors that a worker gets: its end of the control channel, where it inherits that, and those of the user's.
    pub(crate) fn passed(&self, channel: Option<BorrowedFd<'_>>) -> Result<Passed, StartError> {
        let most = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let mut files: Vec<_> = channel.map(|channel| (CHANNEL_FD, channel)).into_iter().collect();
        for (number, file) in &self.passed {
            if u64::from(*number) >= most {
                let problem =
                    format!("{number}: a process may have those below {most} (RLIMIT_NOFILE)");
                return Err(StartError::Setting { setting: "descriptor", problem });
            }
            files.push(((*number).into(), file.as_fd()));
        }
        Passed::new(&files)
            .map_err(|errno| StartError::system("duplicate a descriptor")(errno.into()))
    }

    /// Environment, output streams, and what is kept of the host's descriptors, of a process to be started.
    pub(crate) fn apply(&self, command: &mut Command) -> Result<(), StartError> {
        if !self.all_descriptors {
            crate::descriptors::keep_from(command);
        }
        if let Some(inherited) = &self.inherited {
            let found = inherited.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
            command.env_clear().envs(found);
        }
        // The host has warned of wrong words once: its workers need not.
        if let Some(words) = crate::debug::for_workers()
            && self
                .inherited
                .as_ref()
                .is_none_or(|names| names.iter().any(|name| name == DEBUG_ENV))
        {
            command.env(DEBUG_ENV, words);
        }
        command.envs(self.set.iter().map(|(name, value)| (name, value)));
        command.stdout(self.stdout.stdio()?).stderr(self.stderr.stdio()?);
        Ok(())
    }

    /// Limits a process that has just started.
    pub(crate) fn restrict(&self, process: Pid) -> Result<(), StartError> {
        for (resource, most) in &self.limits {
            let limit = Rlimit { current: Some(*most), maximum: Some(*most) };
            match prlimit(Some(process), resource.kind(), limit) {
                Ok(_) => {}
                // It has ended, and was reaped by others: that it has ended is what its supervisor finds.
                Err(Errno::SRCH) => break,
                Err(errno) => {
                    let failed = StartError::system("limit the resources of the worker");
                    return Err(failed(errno.into()));
                }
            }
        }
        Ok(())
    }
}

impl Output {
    fn stdio(&self) -> Result<Stdio, StartError> {
        Ok(match self {
            Self::Inherit => Stdio::inherit(),
            Self::Null => Stdio::null(),
            Self::File(file) => {
                let file = file.try_clone();
                file.map_err(StartError::system("duplicate the file for the worker's output"))?
                    .into()
            }
        })
    }
}

impl ResourceLimit {
    fn kind(self) -> Resource {
        match self {
            Self::AddressSpace => Resource::As,
            Self::Data => Resource::Data,
            Self::ProcessorSeconds => Resource::Cpu,
            Self::OpenFiles => Resource::Nofile,
            Self::FileBytes => Resource::Fsize,
            Self::CoreBytes => Resource::Core,
            Self::Processes => Resource::Nproc,
        }
    }
}
