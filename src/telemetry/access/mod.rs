//! The access log: one line a request.
//!
//! ```text
//! worker: Record ─format→ one allocation ─try_send→ bounded queue ─→ writer thread ─→ file
//!                                             │ full
//!                                             └→ dropped, counted
//! ```
//!
//! 1. `start` opens the file and its thread. With the log off there is neither, and
//!    a worker that holds `None` pays one branch a request.
//! 2. Workers never wait: a line that finds the queue full is dropped and counted.
//! 3. The writer flushes when the queue is empty, so a quiet gateway's last line is
//!    never held back and a busy one writes in large pieces.
//! 4. `finish` waits, boundedly, until what is queued is written.
//!
//! Values that clients choose are quoted and escaped: none can forge a line.

mod line;
#[cfg(test)]
mod tests;

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use prometheus::IntCounter;

pub use line::{Record, TlsRecord};

use super::{AccessLog, LogFormat, LogParams};

/// Lines that may wait for the writer.
pub const QUEUE_LINES: usize = 16 * 1024;
/// How long `finish` waits for them.
const FINISH_TIMEOUT: Duration = Duration::from_secs(2);
const BUFFER_BYTES: usize = 64 * 1024;

enum Message {
    Line(Vec<u8>),
    Reopen,
    Flush(SyncSender<()>),
}

/// The workers' end. Cheap to clone, one per worker.
#[derive(Clone)]
pub struct AccessSink {
    queue: SyncSender<Message>,
    dropped: IntCounter,
    format: LogFormat,
}

impl AccessSink {
    /// Queues the request's line. Never waits.
    pub fn log(&self, record: &Record<'_>) {
        let mut bytes = Vec::with_capacity(320);
        // Writing into a Vec cannot fail.
        let _ = match self.format {
            LogFormat::Text => line::text(&mut bytes, record),
            LogFormat::Json => line::json(&mut bytes, record),
        };
        bytes.push(b'\n');
        if self.queue.try_send(Message::Line(bytes)).is_err() {
            self.dropped.inc();
        }
    }
}

/// The control thread's end.
#[derive(Clone)]
pub struct AccessWriter {
    queue: SyncSender<Message>,
}

impl AccessWriter {
    /// Opens the file again under its name, for logrotate(8).
    pub fn reopen(&self) {
        let _ = self.queue.try_send(Message::Reopen);
    }

    /// Waits until all that was queued before is written, two seconds at most.
    pub fn finish(&self) {
        let (done, written) = sync_channel(1);
        // The queue may be full for a moment; its writer is emptying it.
        let deadline = Instant::now() + FINISH_TIMEOUT;
        let mut message = Message::Flush(done);
        while let Err(std::sync::mpsc::TrySendError::Full(back)) = self.queue.try_send(message) {
            if Instant::now() > deadline {
                return;
            }
            message = back;
            std::thread::sleep(Duration::from_millis(5));
        }
        let left = deadline.saturating_duration_since(Instant::now());
        let _ = written.recv_timeout(left);
    }
}

/// Opens the access log and starts its writer; `None` when it is off.
///
/// `dropped` counts lines lost to a full queue.
///
/// # Errors
/// The file cannot be opened for appending, or the thread not be started.
pub fn start(
    params: &LogParams,
    dropped: IntCounter,
) -> io::Result<Option<(AccessSink, AccessWriter)>> {
    let output = match &params.access {
        AccessLog::Off => return Ok(None),
        AccessLog::Stdout => Output::stdout(),
        AccessLog::File(path) => Output::file(path)?,
    };
    let (queue, lines) = sync_channel(QUEUE_LINES);
    std::thread::Builder::new()
        .name("access-log".into())
        .spawn(move || write_lines(&lines, output))?;
    let sink = AccessSink {
        queue: queue.clone(),
        dropped,
        format: params.format,
    };
    Ok(Some((sink, AccessWriter { queue })))
}

struct Output {
    writer: BufWriter<Box<dyn Write + Send>>,
    path: Option<PathBuf>,
}

impl Output {
    fn stdout() -> Output {
        Output {
            writer: BufWriter::with_capacity(BUFFER_BYTES, Box::new(io::stdout())),
            path: None,
        }
    }

    fn file(path: &Path) -> io::Result<Output> {
        Ok(Output {
            writer: BufWriter::with_capacity(BUFFER_BYTES, Box::new(open(path)?)),
            path: Some(path.to_owned()),
        })
    }

    fn reopen(&mut self) {
        let Some(path) = self.path.clone() else {
            return;
        };
        let _ = self.writer.flush();
        match Output::file(&path) {
            Ok(output) => *self = output,
            // The old file goes on being written: a line in a renamed file is worth
            // more than none.
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "access log not reopened")
            }
        }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

fn write_lines(lines: &Receiver<Message>, mut output: Output) {
    let mut failing = false;
    while let Ok(first) = lines.recv() {
        let mut next = Some(first);
        while let Some(message) = next {
            let written = match message {
                Message::Line(line) => output.writer.write_all(&line),
                Message::Reopen => {
                    output.reopen();
                    Ok(())
                }
                Message::Flush(done) => {
                    let flushed = output.writer.flush();
                    let _ = done.send(());
                    flushed
                }
            };
            note(&mut failing, written);
            next = lines.try_recv().ok();
        }
        let flushed = output.writer.flush();
        // Only a flush shows that the trouble is over: a write may end in the buffer.
        failing &= flushed.is_err();
        note(&mut failing, flushed);
    }
}

/// Tells once that the disk is full or the pipe gone, not for every line.
fn note(failing: &mut bool, result: io::Result<()>) {
    match result {
        Ok(()) => {}
        Err(error) if !*failing => {
            *failing = true;
            tracing::error!(%error, "access log cannot be written");
        }
        Err(_) => {}
    }
}
