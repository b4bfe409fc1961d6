//! A simulated host of Knitting that a test ends.
//!
//! `COMMAND ...`: starts the command as its worker, which has the tasks `number` and `pid`, prints the id of
//! the process that answers, and then waits for ever.

use knit_tests::knitting::{Argument, Host, boot};
use std::io::Write;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let Some(program) = arguments.next() else {
        eprintln!("usage: knit-test-knitting-host COMMAND ...");
        return ExitCode::from(2);
    };
    let mut host = Host::new(1 << 20, None);
    let boot = boot(&host.places, &["number", "pid"], None).to_string();
    host.start_with(Command::new(program).args(arguments), &boot);
    let undefined = Argument { words: [5, 0, 0, 0], ..Argument::default() };
    println!("{}", host.call(1, 1, &undefined).number());
    std::io::stdout().flush().expect("the test reads the line");
    loop {
        std::thread::park();
    }
}
