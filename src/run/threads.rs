//! Two sets of threads. Those that answer wait for nobody: those that measure, and that write what is scraped, let them go
//! first, since to go through tens of thousands of streams takes long against what an autoscaler's question does.

use std::io;

use tokio::runtime::{Builder, Handle, Runtime};

/// How much less of a busy machine those get that measure: a tenth of what one gets that answers, and of what another
/// program gets.
#[cfg(target_os = "linux")]
const NICENESS: i32 = 10;

/// The threads of the process.
pub struct Threads {
    answering: Runtime,
    measuring: Runtime,
}

impl Threads {
    /// Starts them, for so many servers to measure.
    ///
    /// # Errors
    /// The system has no room for more.
    pub fn start(servers: usize) -> io::Result<Threads> {
        // Little work, and never more than the machine has: a node with 64 cores needs no 64 threads.
        let most = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(4));
        let runtime = |threads: usize, name: &str, start: fn()| {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(threads).thread_name(name).on_thread_start(start).enable_all().build()
        };
        Ok(Threads {
            answering: runtime(most, "answering", || {})?,
            // A poll that goes from one thread to another leaves memory with each: 10 MB at 2,000 streams.
            measuring: runtime(servers.clamp(1, most), "measuring", let_others_go)?,
        })
    }

    /// Runs a task on those that answer, and gives it the others, for what is to be done aside.
    pub fn block_on<T>(&self, task: impl AsyncFnOnce(Handle) -> T) -> T {
        self.answering.block_on(task(self.measuring.handle().clone()))
    }

    /// Ends them. Whatever a library left running does not hold the process.
    pub fn stop(self) {
        self.measuring.shutdown_background();
        self.answering.shutdown_background();
    }
}

/// Lowers the priority of the thread that calls it. Where that is refused, all are alike.
#[cfg(target_os = "linux")]
fn let_others_go() {
    // Of Linux, a thread has a priority of its own.
    let _ = rustix::process::setpriority_process(None, NICENESS);
}

/// Elsewhere a priority is one of the process.
#[cfg(not(target_os = "linux"))]
fn let_others_go() {}
