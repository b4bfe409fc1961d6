//! A sender that a test ends: `knit-test-bell spin|futex|futex-pair|eventfd MESSAGES`.
//!
//! Standard input is the memory of a small lane, standard output the eventfd of its bell where the
//! doorbell is one. Sends so many messages, each when the one before has been released, wakes the
//! receiver for each, and then does nothing for ever.

use knit_ring::{
    ClaimError, Doorbell, EventfdBell, FutexBell, FutexPair, Mapped, MappedWord, Mapping, Notifier,
    Sender, SpinBell, Stamps,
};
use knit_tests::{lane, message};
use rustix::process::Signal;
use std::os::fd::AsFd;
use std::process::ExitCode;

fn main() -> ExitCode {
    // A test that fails leaves nobody behind.
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL)).expect("a known signal");
    let mut arguments = std::env::args().skip(1);
    let doorbell = arguments.next();
    let messages = arguments.next().and_then(|number| number.parse().ok());
    let (Some(doorbell), Some(messages)) = (doorbell, messages) else { return usage() };
    let memory = std::io::stdin().as_fd().try_clone_to_owned().expect("a descriptor is left");
    let memory = Mapping::attach(memory).expect("standard input is a memfd");
    match &*doorbell {
        "spin" => send(&memory, &SpinBell, messages),
        "futex" => send(&memory, &FutexBell, messages),
        "futex-pair" => send(&memory, &FutexPair::default(), messages),
        "eventfd" => {
            let fd = std::io::stdout().as_fd().try_clone_to_owned().expect("a descriptor is left");
            send(&memory, &EventfdBell::from_fd(fd), messages);
        }
        _ => return usage(),
    }
    loop {
        std::thread::park();
    }
}

fn send(memory: &Mapped<Mapping>, doorbell: &impl Doorbell<MappedWord<Mapping>>, messages: u32) {
    // One slot: the next message has room when this one is released.
    let lane = lane(1);
    let mut sender = Sender::new(memory, lane.mailbox, Stamps::On).expect("room for a lane");
    let mut notifier =
        Notifier::new(memory, &lane.sender, &lane.receiver).expect("room for a lane");
    for call in 0..messages {
        loop {
            match sender.claim() {
                Ok(claim) => {
                    claim.publish(&message(call));
                    break;
                }
                Err(ClaimError::Full) => std::thread::yield_now(),
                Err(error) => panic!("{error:?}"),
            }
        }
        if notifier.notify() {
            doorbell.wake(notifier.bell());
        }
    }
}

fn usage() -> ExitCode {
    eprintln!("usage: knit-test-bell spin|futex|futex-pair|eventfd MESSAGES");
    ExitCode::from(2)
}
