//! What the training bench asks of a peer: for each line `case threads steps` on stdin one line of JSON with wall and
//! CPU milliseconds of each step, and the megabytes that the process has gained since it began.
use std::collections::HashMap;
use std::io::{BufRead, Write};
use std::time::Instant;

/// One step; returns the loss.
pub type Step = Box<dyn FnMut() -> f32>;

fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1000.0
}

/// CPU milliseconds of all threads so far.
fn cpu() -> f64 {
    #[repr(C)]
    struct Time {
        seconds: i64,
        nanoseconds: i64,
    }
    unsafe extern "C" {
        fn clock_gettime(clock: i32, time: *mut Time) -> i32;
    }
    let mut time = Time { seconds: 0, nanoseconds: 0 };
    const PROCESS_CPUTIME: i32 = 2;
    unsafe { clock_gettime(PROCESS_CPUTIME, &mut time) };
    time.seconds as f64 * 1e3 + time.nanoseconds as f64 / 1e6
}

/// Numbers that look random, in -1..1.
pub fn scattered(length: usize) -> Vec<f32> {
    (0..length).map(|i| (i * 7919 % 10007) as f32 / 10007.0 * 2.0 - 1.0).collect()
}

pub fn serve(version: &str, open: impl Fn(&str) -> Step) {
    let before = resident();
    let mut made: HashMap<String, Step> = HashMap::new();
    println!("{version}");
    for line in std::io::stdin().lock().lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, _, steps] = words[..] else { panic!("given: {line}") };
        let step = made.entry(name.to_string()).or_insert_with(|| open(name));
        let (mut wall, mut used) = (vec![], vec![]);
        let mut loss = 0.0;
        for _ in 0..steps.parse::<usize>().unwrap() {
            let (start, begin) = (Instant::now(), cpu());
            loss = step();
            wall.push(start.elapsed().as_secs_f64() * 1e3);
            used.push(cpu() - begin);
        }
        println!(r#"{{"wall":{wall:?},"cpu":{used:?},"gained":{},"loss":{loss}}}"#, resident() - before);
        std::io::stdout().flush().unwrap();
    }
}
