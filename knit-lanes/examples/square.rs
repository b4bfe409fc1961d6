//! The smallest program: calls a function of its own in two worker processes. The same stands in
//! README.md, and `cargo xtask tidy` compares the two.

use knit_lanes::{Pool, Tasks};

fn square(n: f64) -> f64 {
    n * n
}

fn main() -> knit_lanes::Result<()> {
    let mut tasks = Tasks::new();
    let square = tasks.add("square", square); // typed handle: Task<f64, f64>
    tasks.serve_if_worker(); // in a worker this never returns
    let pool = Pool::builder().processes(2).start(tasks)?; // dropped: drained and shut down
    println!("{}", pool.call(square, 3.0).wait()?); // a `Call` is also a future
    Ok(())
}
