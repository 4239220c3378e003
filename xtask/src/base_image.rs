//! The image that the tests' Dockerfiles start from: Debian's statically linked busybox and the
//! links to it, as a build context for `docker build`.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::debian;
use crate::shell::{Program, Shell};

/// Its RUN proves on the way that the client and the engine can do what the tests ask of them.
const DOCKERFILE: &str = r#"FROM scratch
COPY root /
RUN ["/bin/sh", "-c", "test -x /bin/busybox"]
ENV PATH=/bin
CMD ["/bin/sh"]
"#;

/// The build context, made once.
pub(crate) fn context(shell: &Shell) -> Result<PathBuf> {
    let context = shell.fixtures().join("base-image");
    if context.join("Dockerfile").is_file() {
        eprintln!("there: a base image of Debian's busybox-static");
        return Ok(context);
    }
    let unpacked = shell.fixtures().join("busybox-static");
    debian::unpack(shell, "busybox-static", &unpacked)?;
    let programs = context.join("root/bin");
    fs::create_dir_all(&programs)?;
    let busybox = ["bin/busybox", "usr/bin/busybox"]
        .map(|path| unpacked.join(path))
        .into_iter()
        .find(|path| path.is_file())
        .context("Debian's busybox-static holds no busybox")?;
    fs::copy(&busybox, programs.join("busybox"))?;
    let applets = shell
        .ask(&Program::new(&busybox, ["--list"]))
        .context("Debian's busybox does not run here")?;
    for applet in applets.lines().filter(|applet| *applet != "busybox") {
        let link = programs.join(applet);
        // Left by a set-up that did not get further.
        if fs::symlink_metadata(&link).is_err() {
            symlink("busybox", link)?;
        }
    }
    let etc = context.join("root/etc");
    fs::create_dir_all(&etc)?;
    fs::write(
        etc.join("passwd"),
        "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
    )?;
    fs::write(etc.join("group"), "root:x:0:\nnobody:x:65534:\n")?;
    fs::create_dir_all(context.join("root/tmp"))?;
    // Last: its being there says that the rest is.
    fs::write(context.join("Dockerfile"), DOCKERFILE)?;
    Ok(context)
}
