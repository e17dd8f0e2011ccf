//! placeholder
use nodeward_sandbox::*;
#[tokio::main]
async fn main() {
    let n = std::env::args().nth(1).map_or(12, |n| n.parse().unwrap());
    let t = std::time::Instant::now();
    let s = Sandbox::start(SandboxOptions { nodes: n, progress: Progress::auto(), ..Default::default() }).await;
    match s {
        Ok(s) => {
            eprintln!("up {:?} {}", t.elapsed(), s.kubeconfig_path().display());
            let _ = tokio::signal::ctrl_c().await;
            let t = std::time::Instant::now();
            println!("{:?} {:?}", s.stop().await, t.elapsed());
        }
        Err(e) => eprintln!("{e}"),
    }
}
