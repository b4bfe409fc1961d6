//! ipc-channel: a channel of bytes each way, polled.

use crate::Failure;
use crate::link::{HEAD, Head, Link};
use crate::peer::{Needs, Rival, ready, setup, start_with_text};
use ipc_channel::TryRecvError;
use ipc_channel::ipc::{
    IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender, bytes_channel,
};
use knit_cli::floor::{PATIENCE, Peer};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::mpsc::channel;
use std::thread;

/// Channels of bytes.
#[derive(Clone, Copy, Debug)]
pub struct IpcChannel;

/// Most bytes in flight, unless it is one message: a sender blocks when the socket below the channel is
/// full, and with both sides blocked nothing would go on.
const MOST: usize = 64 << 10;

/// Either end.
pub struct Channels {
    sender: IpcBytesSender,
    receiver: IpcBytesReceiver,
    /// Lengths of the calls that have no answer; the worker's end keeps none.
    in_flight: Option<VecDeque<usize>>,
    bytes: usize,
    buffer: Vec<u8>,
}

impl Rival for IpcChannel {
    const VARIABLE: &'static str = "KNIT_RIVAL_IPC_CHANNEL";
    type Host = Channels;
    type Worker = Channels;

    fn start(&self, needs: &Needs<'_>) -> Result<(Channels, Peer), Failure> {
        let (server, name) = IpcOneShotServer::<(IpcBytesSender, IpcBytesReceiver)>::new()?;
        let (worker, peer) = start_with_text(Self::VARIABLE, needs, &name)?;
        // It cannot be accepted with a time limit.
        let (accepted, channels) = channel();
        thread::spawn(move || accepted.send(server.accept().map(|(_, channels)| channels)));
        let (sender, receiver) = channels.recv_timeout(PATIENCE)??;
        worker.wait()?;
        Ok((Channels::new(sender, receiver, Some(VecDeque::new())), peer))
    }

    fn attach() -> Result<Channels, Failure> {
        let (to_worker, receiver) = bytes_channel()?;
        let (sender, from_worker) = bytes_channel()?;
        IpcSender::connect(setup()?)?.send((to_worker, from_worker))?;
        ready()?;
        Ok(Channels::new(sender, receiver, None))
    }
}

impl Channels {
    fn new(
        sender: IpcBytesSender,
        receiver: IpcBytesReceiver,
        in_flight: Option<VecDeque<usize>>,
    ) -> Self {
        Self { sender, receiver, in_flight, bytes: 0, buffer: Vec::new() }
    }
}

impl Link for Channels {
    fn room(&mut self, len: usize) -> Result<bool, Failure> {
        let Some(in_flight) = &self.in_flight else { return Ok(true) };
        Ok(in_flight.is_empty() || self.bytes + HEAD + len <= MOST)
    }

    fn send(&mut self, head: Head, body: Cow<'_, [u8]>) -> Result<(), Failure> {
        if let Some(in_flight) = &mut self.in_flight {
            in_flight.push_back(HEAD + body.len());
            self.bytes += HEAD + body.len();
        }
        // The head stands behind the body: so the bytes of a body that is owned stay where they are.
        match body {
            Cow::Owned(mut bytes) => {
                bytes.extend_from_slice(&head.to_bytes());
                self.sender.send(&bytes)?;
            }
            Cow::Borrowed(body) => {
                self.buffer.clear();
                self.buffer.extend_from_slice(body);
                self.buffer.extend_from_slice(&head.to_bytes());
                self.sender.send(&self.buffer)?;
            }
        }
        Ok(())
    }

    fn receive<R>(
        &mut self,
        read: impl FnOnce(Head, Cow<'_, [u8]>) -> R,
    ) -> Result<Option<R>, Failure> {
        let mut bytes = match self.receiver.try_recv() {
            Ok(bytes) => bytes,
            Err(TryRecvError::Empty) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let head = Head::from_bytes(bytes.last_chunk().ok_or("a message without a head")?)?;
        bytes.truncate(bytes.len() - HEAD);
        if let Some(in_flight) = &mut self.in_flight {
            self.bytes -= in_flight.pop_front().ok_or("an answer without a call")?;
        }
        Ok(Some(read(head, Cow::Owned(bytes))))
    }
}
