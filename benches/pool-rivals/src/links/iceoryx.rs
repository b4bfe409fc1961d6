//! iceoryx2: request-response, and a pair of publishers and subscribers. Both sides are polled, as the crate's
//! own benchmark does.

use crate::Failure;
use crate::link::{HEAD, Head, Link};
use crate::peer::{Needs, Rival, ready, setup, start_with_text};
use iceoryx2::active_request::ActiveRequest;
use iceoryx2::node::Node;
use iceoryx2::pending_response::PendingResponse;
use iceoryx2::port::client::Client;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::server::Server;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::{LogLevel, NodeBuilder, SignalHandlingMode, ipc, set_log_level};
use iceoryx2::service::port_factory::{publish_subscribe, request_response};
use knit_cli::floor::Peer;
use std::borrow::Cow;
use std::collections::VecDeque;
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// Requests and responses.
#[derive(Clone, Copy, Debug)]
pub struct RequestResponse;

/// A publisher and a subscriber each way.
#[derive(Clone, Copy, Debug)]
pub struct PublishSubscribe;

/// Our head as the crate's user header.
type Header = [u8; HEAD];

type Requests = request_response::PortFactory<ipc::Service, [u8], Header, [u8], Header>;
type Pending = PendingResponse<ipc::Service, [u8], Header, [u8], Header>;
type Active = ActiveRequest<ipc::Service, [u8], Header, [u8], Header>;
type Samples = publish_subscribe::PortFactory<ipc::Service, [u8], Header>;

/// The end that requests.
pub struct Requester {
    client: Client<ipc::Service, [u8], Header, [u8], Header>,
    pending: VecDeque<Pending>,
    slots: usize,
    // Dropped last.
    _service: Requests,
    _node: Node<ipc::Service>,
}

/// The end that responds.
pub struct Responder {
    server: Server<ipc::Service, [u8], Header, [u8], Header>,
    active: Option<Active>,
    _service: Requests,
    _node: Node<ipc::Service>,
}

/// Either end of a pair of services.
pub struct Pair {
    publisher: Publisher<ipc::Service, [u8], Header>,
    subscriber: Subscriber<ipc::Service, [u8], Header>,
    in_flight: usize,
    /// Most that this side may have in flight.
    slots: usize,
    _services: [Samples; 2],
    _node: Node<ipc::Service>,
}

/// What both ends of a service are told.
struct Setup {
    name: String,
    slots: usize,
    largest: usize,
}

impl Rival for RequestResponse {
    const VARIABLE: &'static str = "KNIT_RIVAL_REQUEST_RESPONSE";
    type Host = Requester;
    type Worker = Responder;

    fn start(&self, needs: &Needs<'_>) -> Result<(Requester, Peer), Failure> {
        let setup = Setup::new(needs);
        let (node, service) = setup.requests()?;
        let (worker, peer) = start_with_text(Self::VARIABLE, needs, &setup.text())?;
        let client = service.client_builder().initial_max_slice_len(setup.largest).create()?;
        worker.wait()?;
        let (pending, slots) = (VecDeque::new(), setup.slots);
        Ok((Requester { client, pending, slots, _service: service, _node: node }, peer))
    }

    fn attach() -> Result<Responder, Failure> {
        let setup = Setup::read()?;
        let (node, service) = setup.requests()?;
        let server = service.server_builder().initial_max_slice_len(setup.largest).create()?;
        ready()?;
        Ok(Responder { server, active: None, _service: service, _node: node })
    }
}

impl Rival for PublishSubscribe {
    const VARIABLE: &'static str = "KNIT_RIVAL_PUBLISH_SUBSCRIBE";
    type Host = Pair;
    type Worker = Pair;

    fn start(&self, needs: &Needs<'_>) -> Result<(Pair, Peer), Failure> {
        let setup = Setup::new(needs);
        let pair = setup.pair("call", "answer", setup.slots)?;
        let (worker, peer) = start_with_text(Self::VARIABLE, needs, &setup.text())?;
        worker.wait()?;
        Ok((pair, peer))
    }

    fn attach() -> Result<Pair, Failure> {
        // As many answers as calls: the host's end bounds both.
        let pair = Setup::read()?.pair("answer", "call", usize::MAX)?;
        ready()?;
        Ok(pair)
    }
}

impl Setup {
    fn new(needs: &Needs<'_>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Relaxed: only the value matters.
        let name = format!("knit/{}/{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self { name, slots: needs.slots(), largest: needs.largest.max(1) }
    }

    fn text(&self) -> String {
        format!("{}\n{}\n{}", self.name, self.slots, self.largest)
    }

    fn read() -> Result<Self, Failure> {
        let text = setup()?;
        let mut lines = text.lines();
        let mut line = || lines.next().ok_or("a line of the setup is missing");
        Ok(Self { name: line()?.to_owned(), slots: line()?.parse()?, largest: line()?.parse()? })
    }

    fn node() -> Result<Node<ipc::Service>, Failure> {
        set_log_level(LogLevel::Error);
        // The signals stay the program's.
        let builder = NodeBuilder::new().signal_handling_mode(SignalHandlingMode::Disabled);
        Ok(builder.create::<ipc::Service>()?)
    }

    fn requests(&self) -> Result<(Node<ipc::Service>, Requests), Failure> {
        let node = Self::node()?;
        let service = node
            .service_builder(&self.name.as_str().try_into()?)
            .request_response::<[u8], [u8]>()
            .request_user_header::<Header>()
            .response_user_header::<Header>()
            .max_clients(1)
            .max_servers(1)
            .max_active_requests_per_client(self.slots)
            .max_loaned_requests(1)
            .max_response_buffer_size(1)
            .max_borrowed_responses_per_pending_response(1)
            .open_or_create()?;
        Ok((node, service))
    }

    fn pair(&self, to: &str, from: &str, slots: usize) -> Result<Pair, Failure> {
        let node = Self::node()?;
        let service = |way: &str| -> Result<Samples, Failure> {
            let name = format!("{}/{way}", self.name);
            Ok(node
                .service_builder(&name.as_str().try_into()?)
                .publish_subscribe::<[u8]>()
                .user_header::<Header>()
                .max_publishers(1)
                .max_subscribers(1)
                .subscriber_max_buffer_size(self.slots)
                .subscriber_max_borrowed_samples(1)
                .enable_safe_overflow(false)
                .open_or_create()?)
        };
        let (to, from) = (service(to)?, service(from)?);
        let publisher = to
            .publisher_builder()
            .initial_max_slice_len(self.largest)
            .max_loaned_samples(1)
            .create()?;
        let subscriber = from.subscriber_builder().create()?;
        let in_flight = 0;
        let services = [to, from];
        Ok(Pair { publisher, subscriber, in_flight, slots, _services: services, _node: node })
    }
}

impl Link for Requester {
    fn room(&mut self, _len: usize) -> Result<bool, Failure> {
        Ok(self.pending.len() < self.slots)
    }

    fn send(&mut self, head: Head, body: Cow<'_, [u8]>) -> Result<(), Failure> {
        let mut request = self.client.loan_slice_uninit(body.len())?;
        *request.user_header_mut() = head.to_bytes();
        self.pending.push_back(request.write_from_slice(&body).send()?);
        Ok(())
    }

    fn receive<R>(
        &mut self,
        read: impl FnOnce(Head, Cow<'_, [u8]>) -> R,
    ) -> Result<Option<R>, Failure> {
        // The worker answers in the order of the requests.
        let Some(pending) = self.pending.front() else { return Ok(None) };
        let Some(response) = pending.receive()? else { return Ok(None) };
        let head = Head::from_bytes(response.user_header())?;
        let found = read(head, Cow::Borrowed(response.payload()));
        drop(response);
        self.pending.pop_front();
        Ok(Some(found))
    }
}

impl Link for Responder {
    fn room(&mut self, _len: usize) -> Result<bool, Failure> {
        Ok(true)
    }

    fn send(&mut self, head: Head, body: Cow<'_, [u8]>) -> Result<(), Failure> {
        let active = self.active.take().ok_or("an answer without a request")?;
        let mut response = active.loan_slice_uninit(body.len())?;
        *response.user_header_mut() = head.to_bytes();
        Ok(response.write_from_slice(&body).send()?)
    }

    fn receive<R>(
        &mut self,
        read: impl FnOnce(Head, Cow<'_, [u8]>) -> R,
    ) -> Result<Option<R>, Failure> {
        let Some(active) = self.server.receive()? else { return Ok(None) };
        let head = Head::from_bytes(active.user_header())?;
        let found = read(head, Cow::Borrowed(active.payload()));
        self.active = Some(active);
        Ok(Some(found))
    }
}

impl Link for Pair {
    fn room(&mut self, _len: usize) -> Result<bool, Failure> {
        Ok(self.in_flight < self.slots)
    }

    fn send(&mut self, head: Head, body: Cow<'_, [u8]>) -> Result<(), Failure> {
        let mut sample = self.publisher.loan_slice_uninit(body.len())?;
        *sample.user_header_mut() = head.to_bytes();
        self.in_flight += 1;
        match sample.write_from_slice(&body).send()? {
            1 => Ok(()),
            receivers => Err(format!("a sample went to {receivers} subscribers").into()),
        }
    }

    fn receive<R>(
        &mut self,
        read: impl FnOnce(Head, Cow<'_, [u8]>) -> R,
    ) -> Result<Option<R>, Failure> {
        let Some(sample) = self.subscriber.receive()? else { return Ok(None) };
        let head = Head::from_bytes(sample.user_header())?;
        let found = read(head, Cow::Borrowed(sample.payload()));
        drop(sample);
        self.in_flight = self.in_flight.saturating_sub(1);
        Ok(Some(found))
    }
}
