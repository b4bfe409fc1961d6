//! The smallest program: calls two functions of its own in two worker processes.

use knit_lanes::{Pool, Tasks};

fn square(n: f64) -> f64 {
    n * n
}

fn greet(name: String) -> String {
    format!("hello {name}")
}

fn main() -> knit_lanes::Result<()> {
    let mut tasks = Tasks::new();
    let square = tasks.add("square", square);
    let greet = tasks.add("greet", greet);
    tasks.serve_if_worker();

    let pool = Pool::builder().processes(2).start(tasks)?;
    let nine = pool.call(square, 3.0);
    let hello = pool.call(greet, "knit".into());
    println!("{} {}", nine.wait()?, hello.wait()?);
    Ok(())
}
