//! A stack of image layers as the root of an action.

use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;

use synth_engine::sandbox::{Layers, Request, Root};

use crate::machine::{Machine, Run};

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("busybox_runs_on_its_layer", busybox_runs_on_its_layer),
    ("layers_lie_upon_each_other", layers_lie_upon_each_other),
    (
        "a_stack_has_nothing_of_the_machine",
        a_stack_has_nothing_of_the_machine,
    ),
];

/// A layer of busybox, from the Debian package busybox-static, and one upon it.
struct Image {
    machine: Machine,
    layers: Layers,
}

impl Image {
    fn new() -> Self {
        let machine = Machine::new();
        let busybox = ["/bin/busybox", "/usr/bin/busybox"]
            .into_iter()
            .find(|path| fs::metadata(path).is_ok())
            .unwrap_or_else(|| panic!("run `cargo xtask setup`, which installs busybox-static"));
        let base = machine.path("base");
        fs::create_dir_all(base.join("bin")).unwrap();
        fs::copy(busybox, base.join("bin/busybox")).unwrap();
        fs::set_permissions(base.join("bin/busybox"), PermissionsExt::from_mode(0o755)).unwrap();
        symlink("busybox", base.join("bin/sh")).unwrap();
        machine.write("base/etc/motd", "base");
        machine.write("base/etc/gone", "base");
        machine.write("a strange, layer:name/etc/motd", "second");
        let layers = Layers {
            lower: vec![base, machine.path("a strange, layer:name")],
            upper: machine.path("upper"),
            work: machine.path("work"),
        };
        for path in [&layers.upper, &layers.work] {
            fs::create_dir(path).unwrap();
        }
        Self { machine, layers }
    }

    fn sh(&self, script: &str) -> Run {
        self.machine.run(&Request {
            root: Root::Layers(self.layers.clone()),
            directory: PathBuf::new(),
            working_directory: "/".into(),
            environment: vec![("PATH".into(), "/bin".into())],
            ..self.machine.script(script)
        })
    }
}

fn busybox_runs_on_its_layer() {
    let image = Image::new();
    let run = image.sh("busybox echo made > /made; busybox rm /etc/gone; busybox mkdir -p /srv/x; busybox cat /made");
    assert_eq!(run.succeeded(), "made");
    let upper = &image.layers.upper;
    assert_eq!(fs::read_to_string(upper.join("made")).unwrap(), "made\n");
    assert!(upper.join("srv/x").is_dir());
    // What was removed is a whiteout.
    let whiteout = fs::symlink_metadata(upper.join("etc/gone")).unwrap();
    assert!(whiteout.file_type().is_char_device() && whiteout.rdev() == 0);
    // Nothing else: no directory that something was mounted on.
    let mut left: Vec<String> = fs::read_dir(upper)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["etc", "made", "srv"]);
    assert!(image.machine.path("base/etc/gone").exists());
}

fn layers_lie_upon_each_other() {
    let image = Image::new();
    assert_eq!(image.sh("busybox cat /etc/motd").succeeded(), "second");
    image.sh("echo third > /etc/motd").succeeded();
    let mut next = Image::new();
    next.layers.lower.push(image.layers.upper.clone());
    assert_eq!(
        next.sh("busybox cat /etc/motd; busybox ls /etc")
            .succeeded(),
        "third\ngone\nhosts\nmotd\nresolv.conf"
    );
}

fn a_stack_has_nothing_of_the_machine() {
    let image = Image::new();
    let run = image.sh("busybox ls -A / | busybox tr '\\n' ' '; busybox ls /dev/null; busybox ls -d /proc/self; busybox echo x > /dev/null");
    assert_eq!(
        run.succeeded(),
        "bin dev etc proc synth sys tmp /dev/null\n/proc/self"
    );
    for path in ["/usr", "/home", "/root", "/var/tmp"] {
        assert!(
            image
                .sh(&format!("busybox ls {path}"))
                .said
                .contains("No such"),
            "{path}"
        );
    }
}
