//! Messages over a stream of bytes.

use crate::Failure;
use crate::link::{HEAD, Head, Link, Slept};
use std::borrow::Cow;

/// Bytes that are read at a time, except those of a longer body.
const BUFFER: usize = 64 << 10;

/// A stream of bytes each way. Neither end waits.
pub trait ByteStream {
    /// Writes as much as there is room for of `head`, then of `body`. Returns how much that was.
    ///
    /// # Errors
    ///
    /// The stream is broken.
    fn write(&mut self, head: &[u8], body: &[u8]) -> Result<usize, Failure>;

    /// Appends to `bytes` what there is, at most as much as fits its capacity.
    ///
    /// # Errors
    ///
    /// The stream is broken.
    fn read(&mut self, bytes: &mut Vec<u8>) -> Result<(), Failure>;

    /// Sleeps, as [`Link::sleep`]; also until there is room to write, if that is `wanted`.
    ///
    /// # Errors
    ///
    /// The system refuses.
    fn sleep(&mut self, room_wanted: bool) -> Result<Slept, Failure> {
        let _ = room_wanted;
        Ok(Slept::Never)
    }
}

/// Messages over a stream: head, body, head, body.
pub struct Framed<S> {
    stream: S,
    /// What is half sent: its bytes, and how many of them are on their way.
    half_sent: Option<HalfSent>,
    input: Vec<u8>,
    /// Bytes of `input` that were taken.
    taken: usize,
    /// A message whose body does not fit `input`.
    long: Option<(Head, Vec<u8>)>,
}

struct HalfSent {
    head: [u8; HEAD],
    body: Vec<u8>,
    sent: usize,
}

impl<S: ByteStream> Framed<S> {
    /// Messages over `stream`.
    pub fn new(stream: S) -> Self {
        let input = Vec::with_capacity(BUFFER);
        Self { stream, half_sent: None, input, taken: 0, long: None }
    }

    /// Reads what there is to the end of `input`.
    fn fill(&mut self) -> Result<(), Failure> {
        if self.taken == self.input.len() {
            self.input.clear();
        } else if self.taken > 0 {
            self.input.drain(..self.taken);
        }
        self.taken = 0;
        self.stream.read(&mut self.input)
    }

    /// The head that comes next, if all of it is there.
    fn head(&self) -> Result<Option<Head>, Failure> {
        match self.input[self.taken..].first_chunk() {
            Some(head) => Ok(Some(Head::from_bytes(head)?)),
            None => Ok(None),
        }
    }

    /// The body of a long message, when all of it is there.
    fn long(&mut self) -> Result<Option<(Head, Vec<u8>)>, Failure> {
        let Some((head, mut body)) = self.long.take() else { return Ok(None) };
        let len = head.len as usize;
        if body.len() < len {
            self.stream.read(&mut body)?;
        }
        if body.len() < len {
            self.long = Some((head, body));
            return Ok(None);
        }
        // Its capacity may be larger than was asked for.
        self.input.extend_from_slice(&body[len..]);
        body.truncate(len);
        Ok(Some((head, body)))
    }
}

impl<S: ByteStream> Link for Framed<S> {
    fn room(&mut self, _len: usize) -> Result<bool, Failure> {
        let Some(HalfSent { head, body, sent }) = &mut self.half_sent else { return Ok(true) };
        let more = match head.get(*sent..) {
            Some(head) => self.stream.write(head, body)?,
            None => self.stream.write(&[], &body[*sent - HEAD..])?,
        };
        *sent += more;
        let done = *sent == HEAD + body.len();
        if done {
            self.half_sent = None;
        }
        Ok(done)
    }

    fn send(&mut self, head: Head, body: Cow<'_, [u8]>) -> Result<(), Failure> {
        let head = head.to_bytes();
        let sent = self.stream.write(&head, &body)?;
        if sent < HEAD + body.len() {
            self.half_sent = Some(HalfSent { head, body: body.into_owned(), sent });
        }
        Ok(())
    }

    fn receive<R>(
        &mut self,
        read: impl FnOnce(Head, Cow<'_, [u8]>) -> R,
    ) -> Result<Option<R>, Failure> {
        if self.long.is_none() {
            let mut head = self.head()?;
            if head.is_none_or(|head| self.input.len() - self.taken < HEAD + head.len as usize) {
                let fits = head.is_none_or(|head| HEAD + head.len as usize <= BUFFER);
                if fits {
                    self.fill()?;
                    head = self.head()?;
                }
            }
            let Some(head) = head else { return Ok(None) };
            let len = head.len as usize;
            let from = self.taken + HEAD;
            if self.input.len() - from >= len {
                self.taken = from + len;
                return Ok(Some(read(head, Cow::Borrowed(&self.input[from..from + len]))));
            }
            if HEAD + len <= BUFFER {
                return Ok(None);
            }
            let mut body = Vec::with_capacity(len);
            body.extend_from_slice(&self.input[from..]);
            self.taken = self.input.len();
            self.long = Some((head, body));
        }
        Ok(self.long()?.map(|(head, body)| read(head, Cow::Owned(body))))
    }

    fn sleep(&mut self) -> Result<Slept, Failure> {
        self.stream.sleep(self.half_sent.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Kind;
    use std::collections::VecDeque;

    /// Holds a few bytes, and moves odd pieces of them.
    #[derive(Default)]
    struct Narrow {
        bytes: VecDeque<u8>,
        turn: usize,
    }

    const ROOM: usize = 1000;

    impl ByteStream for Narrow {
        fn write(&mut self, head: &[u8], body: &[u8]) -> Result<usize, Failure> {
            self.turn += 1;
            let room = (ROOM - self.bytes.len()).min(self.turn % 13 * 50);
            let all = head.iter().chain(body).take(room);
            let before = self.bytes.len();
            self.bytes.extend(all);
            Ok(self.bytes.len() - before)
        }

        fn read(&mut self, bytes: &mut Vec<u8>) -> Result<(), Failure> {
            self.turn += 1;
            let most = (bytes.capacity() - bytes.len()).min(self.turn % 7 * 90);
            let most = most.min(self.bytes.len());
            bytes.extend(self.bytes.drain(..most));
            Ok(())
        }
    }

    #[test]
    fn messages_of_all_lengths_cross_a_narrow_stream_whole() {
        let lengths = [0, 1, 31, 32, 33, 5000, BUFFER - HEAD, BUFFER - HEAD + 1, 200_000, 0, 7];
        let mut link = Framed::new(Narrow::default());
        let message = |id: u32| {
            let len = lengths[id as usize % lengths.len()];
            let body: Vec<u8> = (0..len).map(|at| (at + id as usize) as u8).collect();
            let (tag, first, scalar) = (2, 3, 4);
            (Head { id, kind: Kind::Value, tag, first, scalar, len: len as u64 }, body)
        };
        let (mut sent, mut received) = (0, 0);
        while received < 3 * lengths.len() as u32 {
            if sent < 3 * lengths.len() as u32 && link.room(0).unwrap() {
                let (head, body) = message(sent);
                link.send(head, Cow::Owned(body)).unwrap();
                sent += 1;
            }
            link.room(0).unwrap();
            let found = link.receive(|head, body| (head, body.into_owned())).unwrap();
            if let Some(found) = found {
                assert!(found == message(received), "message {received}");
                received += 1;
            }
        }
        assert_eq!(sent, received);
    }
}
