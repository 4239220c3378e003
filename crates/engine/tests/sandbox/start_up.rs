//! How long it takes to start and end a program in the sandbox, and outside of it.
use std::fs::File;
use std::time::{Duration, Instant};
use synth_engine::plugin::HostProgram;
use synth_engine::sandbox::{Client, Request, Stop};

fn cpu() -> f64 {
    let text = std::fs::read_to_string("/proc/stat").unwrap();
    let _ = text;
    0.0
}
pub(crate) fn measure() {
    let _ = cpu();
    let t = Instant::now();
    let client = Client::start(&HostProgram {
        program: std::env::current_exe().unwrap(),
        arguments: vec![crate::HOST.into()],
    });
    let client = client.unwrap();
    println!("host started in {:?}", t.elapsed());
    let d = tempfile::tempdir().unwrap();
    for n in ["root", "tmp"] {
        std::fs::create_dir(d.path().join(n)).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for round in 0..3 {
            let null = || {
                File::options()
                    .read(true)
                    .write(true)
                    .open("/dev/null")
                    .unwrap()
            };
            let mut times = vec![];
            let mut cpus = vec![];
            for _ in 0..300 {
                let r = Request {
                    directory: d.path().to_owned(),
                    program: "/bin/true".into(),
                    working_directory: "/synth/root".into(),
                    ..Default::default()
                };
                let t = Instant::now();
                let f = client
                    .run(
                        &r,
                        [null(), null(), null()],
                        Instant::now() + Duration::from_secs(60),
                        &Stop::default(),
                    )
                    .await
                    .unwrap();
                times.push(t.elapsed());
                cpus.push(f.cpu);
                if f.end != synth_engine::sandbox::End::Exited(0) {
                    println!("{f:?}");
                    return;
                }
            }
            times.sort();
            cpus.sort();
            let mut plain = vec![];
            for _ in 0..300 {
                let t = Instant::now();
                #[allow(clippy::disallowed_types)]
                let s = tokio::process::Command::new("/bin/true")
                    .env_clear()
                    .process_group(0)
                    .status()
                    .await
                    .unwrap();
                assert!(s.success());
                plain.push(t.elapsed());
            }
            plain.sort();
            println!(
                "{round}: sandboxed {:?} plain {:?} (program cpu {:?})",
                times[150], plain[150], cpus[150]
            );
        }
    });
}
