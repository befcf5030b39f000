//! The pool under load, panics and sharing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::kernels::{Path, Pool};

fn each_once(pool: &Pool, parts: usize) {
    let counts: Vec<AtomicUsize> = (0..parts).map(|_| AtomicUsize::new(0)).collect();
    pool.run(parts, |part| {
        counts[part].fetch_add(1, Relaxed);
    });
    assert!(counts.iter().all(|count| count.load(Relaxed) == 1));
}

#[test]
fn every_part_runs_once() {
    for threads in [0, 1, 2, 3, 8] {
        let pool = Pool::new(threads);
        assert_eq!(pool.threads(), threads.max(1));
        for round in 0..2000 {
            each_once(&pool, round % 37);
        }
    }
}

#[test]
fn workers_come_back_from_sleep() {
    let pool = Pool::with(3, Path::best(), Duration::ZERO);
    for pause in [0, 1, 200, 3000] {
        for _ in 0..20 {
            std::thread::sleep(Duration::from_micros(pause));
            each_once(&pool, 16);
        }
    }
}

#[test]
fn workers_do_help() {
    let pool = Pool::new(2);
    let threads = std::sync::Mutex::new(std::collections::HashSet::new());
    let start = Instant::now();
    while threads.lock().unwrap().len() < 2 && start.elapsed() < Duration::from_secs(10) {
        pool.run(8, |_| {
            std::thread::sleep(Duration::from_micros(300));
            threads.lock().unwrap().insert(std::thread::current().id());
        });
    }
    assert_eq!(threads.lock().unwrap().len(), 2);
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_remains() {
    for threads in [1, 2, 4] {
        let pool = Pool::new(threads);
        for bad in 0..20 {
            let result = catch_unwind(AssertUnwindSafe(|| {
                pool.run(20, |part| assert!(part != bad, "part {part} fails"));
            }));
            let message = *result.unwrap_err().downcast::<String>().unwrap();
            assert_eq!(message, format!("part {bad} fails"));
            each_once(&pool, 20);
        }
    }
}

#[test]
fn calls_within_calls_and_beside_calls_are_served() {
    let pool = Pool::new(3);
    let sum = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    pool.run(5, |_| {
                        pool.run(3, |part| {
                            sum.fetch_add(part, Relaxed);
                        })
                    });
                }
            });
        }
    });
    assert_eq!(sum.into_inner(), 4 * 200 * 5 * 3);
}

#[test]
fn more_threads_than_cores_do_not_collapse() {
    let pool = Pool::new(4 * std::thread::available_parallelism().map_or(2, usize::from));
    let start = Instant::now();
    for _ in 0..2000 {
        each_once(&pool, 24);
    }
    // Some microseconds each where all is well; a barrier that spins would take a time slice each.
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
}
