//! The image as a whole: configuration, bases, layers, and the same bytes each time.

use std::collections::BTreeMap;
use std::fs;

use insta::{assert_json_snapshot, assert_snapshot};
use serde_json::json;

use super::{built, layers, project, target};
use crate::docker_archive;
use crate::testing::build;

#[test]
fn every_instruction_that_configures() {
    let project = project(&[(
        "Dockerfile",
        "ARG VERSION=1.0\n\
         FROM scratch\n\
         ARG VERSION\n\
         ARG PORT=80\n\
         MAINTAINER A. Person\n\
         ENV APP=shop HOME_DIR=\"/srv/my shop\"\n\
         ENV OLD form $APP\n\
         ENV APP=store\n\
         LABEL version=$VERSION \"a b\"='c $APP'\n\
         WORKDIR $HOME_DIR\n\
         WORKDIR sub/./x/..\n\
         USER 1000:1000\n\
         EXPOSE $PORT 53/udp 8000-8001\n\
         VOLUME /data \"/more\"\n\
         SHELL [\"/bin/bash\", \"-c\"]\n\
         ENTRYPOINT run --fast $APP\n\
         CMD [\"--all\"]\n\
         HEALTHCHECK --interval=1m30s --retries=3 CMD check $APP\n\
         STOPSIGNAL SIGINT\n\
         ONBUILD COPY . /app\n",
    )]);
    let target = target()
        .setting("labels", json!({"team": "web"}))
        .setting("platform", "linux/amd64")
        .setting("build_args", json!({"VERSION": 2}));
    let image =
        build(&project, &target, &BTreeMap::new()).unwrap_or_else(|wrong| panic!("{wrong}"));
    let mut config = serde_json::to_value(image.config()).unwrap();
    for entry in config["history"].as_array_mut().unwrap() {
        *entry = entry["created_by"].take();
    }
    config["rootfs"] = json!("layers");
    assert_json_snapshot!(config, @r#"
        {
          "created": "1970-01-01T00:00:00Z",
          "author": "A. Person",
          "architecture": "amd64",
          "os": "linux",
          "config": {
            "User": "1000:1000",
            "ExposedPorts": {
              "53/udp": {},
              "80/tcp": {},
              "8000/tcp": {},
              "8001/tcp": {}
            },
            "Env": [
              "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
              "APP=store",
              "HOME_DIR=/srv/my shop",
              "OLD=form shop"
            ],
            "Entrypoint": [
              "/bin/bash",
              "-c",
              "run --fast $APP"
            ],
            "Cmd": [
              "--all"
            ],
            "Healthcheck": {
              "Test": [
                "CMD-SHELL",
                "check $APP"
              ],
              "Interval": 90000000000,
              "Retries": 3
            },
            "Volumes": {
              "/data": {},
              "/more": {}
            },
            "WorkingDir": "/srv/my shop/sub",
            "Labels": {
              "a b": "c $APP",
              "team": "web",
              "version": "2"
            },
            "StopSignal": "SIGINT",
            "Shell": [
              "/bin/bash",
              "-c"
            ],
            "OnBuild": [
              "COPY . /app"
            ]
          },
          "rootfs": "layers",
          "history": [
            "MAINTAINER A. Person",
            "ENV APP=shop HOME_DIR=\"/srv/my shop\"",
            "ENV OLD form $APP",
            "ENV APP=store",
            "LABEL version=$VERSION \"a b\"='c $APP'",
            "WORKDIR $HOME_DIR",
            "WORKDIR sub/./x/..",
            "USER 1000:1000",
            "EXPOSE $PORT 53/udp 8000-8001",
            "VOLUME /data \"/more\"",
            "SHELL [\"/bin/bash\", \"-c\"]",
            "ENTRYPOINT run --fast $APP",
            "CMD [\"--all\"]",
            "HEALTHCHECK --interval=1m30s --retries=3 CMD check $APP",
            "STOPSIGNAL SIGINT",
            "ONBUILD COPY . /app",
            "LABEL team=web"
          ]
        }
        "#);
    assert_snapshot!(layers(&image), @"
        755 0:0 @0 srv/
        755 0:0 @0 srv/my shop/
        --
        755 0:0 @0 srv/
        755 0:0 @0 srv/my shop/
        755 0:0 @0 srv/my shop/sub/
        ");
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let files = [
        (
            "Dockerfile",
            "FROM scratch AS one\nCOPY d /d\nFROM one\nCOPY d/a /x/\nWORKDIR /w\n",
        ),
        ("d/a", "a"),
        ("d/b", "b"),
    ];
    let (one, two) = (built(&project(&files)), built(&project(&files)));
    assert_eq!(one.bytes(), two.bytes());
    let attribute = |name: &str| one.outcome.attributes["oci.image"][name].clone();
    assert_eq!(attribute("tags"), "image:latest");
    assert_eq!(attribute("layers"), "3");
    let index = fs::read_to_string(one.layout().join("index.json")).unwrap();
    assert!(index.contains(&attribute("image_digest")));

    let mut archives = Vec::new();
    for image in [&one, &two] {
        let mut archive = Vec::new();
        docker_archive(&image.layout(), &mut archive, &["shop:1".into()]).unwrap();
        archives.push(archive);
    }
    assert_eq!(archives[0], archives[1]);
}

#[test]
fn source_date_epoch_is_the_time_of_everything() {
    let project = project(&[("Dockerfile", "FROM scratch\nCOPY a /\n"), ("a", "a")]);
    let target = target().variable("SOURCE_DATE_EPOCH", "1700000000");
    let image =
        build(&project, &target, &BTreeMap::new()).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_snapshot!(layers(&image), @r#"644 0:0 @1700000000 a "a""#);
    assert_eq!(
        image.config().created.as_deref(),
        Some("2023-11-14T22:13:20Z")
    );
}

#[test]
fn an_image_begins_with_a_layout_of_the_project_or_of_a_needed_target() {
    let base = project(&[
        (
            "Dockerfile",
            "FROM scratch\nENV KIND=base\nCOPY etc /etc\nCMD [\"base\"]\nWORKDIR /srv\n",
        ),
        ("etc/passwd", "app:x:7:8::/:\n"),
        ("etc/hosts", "h"),
    ]);
    let base = built(&base);
    let project = project(&[
        (
            "Dockerfile",
            "FROM base\nCOPY --chown=app --from=other /etc/hosts ${KIND}-x\nENTRYPOINT [\"run\"]\n",
        ),
        ("a", "a"),
    ]);
    for entry in base.bytes() {
        project
            .write(&format!("images/base/{}", entry.0.display()), entry.1)
            .unwrap();
    }
    let target = target().need("other").setting(
        "build_contexts",
        json!({"base": "oci-layout://images/base"}),
    );
    let other = base.layout();
    let needs = BTreeMap::from([("other", other.as_path())]);
    let image = build(&project, &target, &needs).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_snapshot!(layers(&image), @r#"
        755 0:0 @0 etc/
        644 0:0 @0 etc/hosts "h"
        644 0:0 @0 etc/passwd "app:x:7:8::/:\n"
        --
        755 0:0 @0 srv/
        --
        755 0:0 @0 srv/
        644 7:8 @0 srv/base-x "h"
        "#);
    let (base, config) = (base.config(), image.config());
    assert!(config.rootfs.diff_ids.starts_with(&base.rootfs.diff_ids));
    assert!(config.history.starts_with(&base.history));
    assert_eq!(
        config.config.cmd, None,
        "an own ENTRYPOINT resets the base's CMD"
    );
    assert_eq!(config.config.working_dir, "/srv");
}

#[test]
fn variables_of_a_base_say_where_and_who_but_not_what() {
    let base = project(&[(
        "Dockerfile",
        "FROM scratch\nENV HERE=/opt/shop WHO=7 PORT=80 MODE=600 STOP=SIGINT WHAT=a\n",
    )]);
    let base = built(&base);
    let needs = BTreeMap::from([("base", base.layout())]);
    let needs = needs.iter().map(|(name, path)| (*name, path.as_path()));
    let needs: BTreeMap<_, _> = needs.collect();
    let target = target().need("base");
    let text = "FROM base\nUSER $WHO\nWORKDIR $HERE\nEXPOSE $PORT/udp\nSTOPSIGNAL $STOP\n\
                COPY --chmod=$MODE a b $HERE/in/\nENV DIR=$HERE/\nCOPY a b $DIR\n";
    let project = project(&[("Dockerfile", text), ("a", "a"), ("b", "b")]);
    let image = build(&project, &target, &needs).unwrap_or_else(|wrong| panic!("{wrong}"));
    assert_snapshot!(layers(&image), @r#"
        755 7:7 @0 opt/
        755 7:7 @0 opt/shop/
        --
        755 7:7 @0 opt/
        755 7:7 @0 opt/shop/
        755 0:0 @0 opt/shop/in/
        600 0:0 @0 opt/shop/in/a "a"
        600 0:0 @0 opt/shop/in/b "b"
        --
        755 7:7 @0 opt/
        755 7:7 @0 opt/shop/
        644 0:0 @0 opt/shop/a "a"
        644 0:0 @0 opt/shop/b "b"
        "#);
    let config = image.config().config;
    assert_eq!(
        (config.user.as_str(), config.stop_signal.as_str()),
        ("7", "SIGINT")
    );
    assert!(config.exposed_ports.contains_key("80/udp"));
    let text = "FROM base\nENV SOURCE=x/$WHAT\nCOPY $SOURCE /\n";
    project.write("Dockerfile", text).unwrap();
    let problems = build(&project, &target, &needs).err().unwrap_or_default();
    assert!(
        problems.contains("docker.copy.source.variable"),
        "{problems}"
    );
}

#[test]
fn a_stage_on_a_stage_is_for_its_platform() {
    let project = project(&[(
        "Dockerfile",
        "FROM --platform=linux/s390x scratch AS one\nLABEL a=b\nFROM one\nLABEL c=d\n",
    )]);
    assert_eq!(built(&project).config().architecture, "s390x");
}

#[test]
fn a_needed_target_that_is_no_image_is_no_base() {
    let needed = tempfile::tempdir().unwrap();
    let project = project(&[("Dockerfile", "FROM api\n")]);
    let needs = BTreeMap::from([("api", needed.path())]);
    let problems = build(&project, &target().need("api"), &needs).err();
    assert_snapshot!(problems.unwrap_or_default(), @"
        error[docker.from.no_image]: target `api` is no OCI image layout, so nothing can be built `FROM` it
          Dockerfile:1 | FROM api
          help: begin with `FROM scratch` and `COPY --from=api` what you need
        ");
}

#[test]
fn a_damaged_layout_is_found_out() {
    let project = project(&[("Dockerfile", "FROM scratch\nCOPY a /\n"), ("a", "a")]);
    for (damage, expected) in [
        ("none", None),
        ("oci-layout", Some("`oci-layout` can't be read")),
        ("index.json", Some("the image layout can't be read")),
        ("layer", Some("blob sha256:")),
        ("configuration", Some("blob sha256:")),
    ] {
        let image = built(&project);
        let layout = image.layout();
        let config = image.config();
        let is_config = |bytes: &[u8]| bytes.starts_with(b"{\"created\"");
        for (path, bytes) in image.bytes() {
            let name = path.to_str().unwrap();
            let blob = name.starts_with("blobs");
            let gzip = bytes.starts_with(&[0x1f, 0x8b]);
            match damage {
                "layer" if gzip => fs::write(layout.join(name), &bytes[1..]).unwrap(),
                "configuration" if blob && is_config(&bytes) => {
                    fs::write(layout.join(name), "{}").unwrap();
                }
                file if file == name => fs::remove_file(layout.join(name)).unwrap(),
                _ => {}
            }
        }
        assert_eq!(config.rootfs.diff_ids.len(), 1);
        let problems = crate::oci::verify(&layout);
        let first = problems.first().map(|problem| problem.message.as_str());
        match expected {
            None => assert_eq!(first, None),
            Some(expected) => assert!(first.unwrap().starts_with(expected), "{first:?}"),
        }
        let archive = docker_archive(&layout, std::io::sink(), &[]);
        assert_eq!(
            archive.is_err(),
            matches!(damage, "index.json" | "configuration")
        );
    }
}
