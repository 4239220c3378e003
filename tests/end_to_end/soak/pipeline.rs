//! The pipeline that is built again and again: commands that need each other, read globs, a
//! variable and a tool, and leave files, links and directories in place and elsewhere.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::plugin_fixtures::with_command;
use crate::workspace::Workspace;

/// What the pipeline reads beside its sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) greeting: u32,
    pub(crate) farewell: u32,
}

impl Settings {
    pub(crate) fn first() -> Self {
        Self {
            greeting: 1,
            farewell: 1,
        }
    }

    /// synth.toml.
    pub(crate) fn config(&self) -> String {
        CONFIG
            .replace("[GREETING]", &self.greeting.to_string())
            .replace("[FAREWELL]", &self.farewell.to_string())
    }
}

const CONFIG: &str = r#"name = "soak"
failure_strategy = "continue"

[targets.all]
type = "command"
source_path = "lib"
script = '''
mkdir -p out
find . -path ./out -prune -o \( -type f -perm -u+x -printf 'x %P\n' -o -printf '%y %P %l\n' \) | LC_ALL=C sort > out/listing
find . -path ./out -prune -o -type f -exec cksum {} + | LC_ALL=C sort >> out/listing
'''
outputs = ["out/listing"]
output_path = "dist/all"

[targets.copies]
type = "command"
source_path = "lib"
script = '''
mkdir -p gen/deep
for file in *.txt; do
  if [ -f "$file" ]; then tr a-z A-Z < "$file" > "gen/deep/$file.out"; fi
done
printf '%s\n' *.txt > gen/index
ln -s index gen/link
'''
inputs = ["*.txt"]
outputs = ["gen/**"]

[targets.deep]
type = "command"
source_path = "lib"
script = '''
mkdir -p tree/bin tree/empty
find . -name '*.c' -type f | LC_ALL=C sort | while read -r file; do cat "$file"; done > tree/joined
echo '#!/bin/sh' > tree/bin/run
chmod 755 tree/bin/run
find . -name '*.c' -type f | wc -l >> tree/bin/run
'''
inputs = ["sub/**/*.c"]
exclude = ["sub/no/**"]
outputs = ["tree/**"]
output_path = "dist/deep"

[targets.app]
type = "command"
source_path = "app"
command = ["./make.sh", "bin/app"]
outputs = ["bin/app"]
environment = { FAREWELL = "[FAREWELL]" }

[targets.stamped]
type = "command"
source_path = "app"
needs = ["copies"]
script = 'stamp "$GREETING" > stamped; cat "$SYNTH_OUT_COPIES/gen/index" >> stamped'
tools = ["stamp"]
inputs = ["*.h"]
outputs = ["stamped"]
output_path = "dist/stamped"
environment = { GREETING = "[GREETING]" }

[targets.first]
type = "command"
source_path = "lib"
script = 'for file in *.txt; do if [ -f "$file" ]; then head -c 1 "$file"; fi; done > first'
inputs = ["*.txt"]
outputs = ["first"]
output_path = "dist/first"

[targets.joined]
type = "command"
source_path = "."
needs = ["all", "deep", "stamped", "first", "app"]
script = '''
mkdir together
cp -R "$SYNTH_OUT_ALL" together/all
cp -R "$SYNTH_OUT_DEEP" together/deep
cat "$SYNTH_OUT_STAMPED/stamped" "$SYNTH_OUT_FIRST/first" > together/text
"$SYNTH_OUT_APP/bin/app" > together/said
'''
inputs = []
outputs = ["together/**"]
output_path = "dist/joined"

[targets.checked]
type = "command"
source_path = "app"
needs = ["joined"]
script = 'test -s "$SYNTH_OUT_JOINED/together/text"'
inputs = ["*.h"]
"#;

const SOURCES: [(&str, &str); 9] = [
    ("lib/a.txt", "apple\n"),
    ("lib/b.txt", "berry\n"),
    ("lib/c.txt", "cherry\n"),
    ("lib/sub/x.c", "int x;\n"),
    ("lib/sub/deep/z.c", "int z;\n"),
    ("lib/sub/no/n.c", "int n;\n"),
    ("app/data.txt", "data 1\n"),
    ("app/header.h", "#define ONE 1\n"),
    (
        "app/make.sh",
        "#!/bin/sh\nset -eu\nmkdir -p bin\n{ echo '#!/bin/sh'; echo \"echo app $FAREWELL\"; \
         for file in *.txt *.h; do if [ -f \"$file\" ]; then sed 's/^/# /' \"$file\"; fi; done; \
         } > \"$1\"\nchmod 755 \"$1\"\n# 0\n",
    ),
];

/// Files without which the pipeline can't be planned.
pub(crate) const KEPT: [&str; 4] = ["lib/a.txt", "lib/sub/x.c", "app/header.h", "app/make.sh"];

/// Which targets need which.
pub(crate) fn needs() -> BTreeMap<&'static str, Vec<&'static str>> {
    BTreeMap::from([
        ("stamped", vec!["copies"]),
        ("joined", vec!["all", "deep", "stamped", "first", "app"]),
        ("checked", vec!["joined"]),
    ])
}

/// Where each target leaves its outputs.
pub(crate) const OUTPUTS: [(&str, &str); 7] = [
    ("all", "dist/all"),
    ("copies", "lib/gen"),
    ("deep", "dist/deep"),
    ("app", "app/bin"),
    ("stamped", "dist/stamped"),
    ("first", "dist/first"),
    ("joined", "dist/joined"),
];

/// Whether a path is a source: no output, no state, and not synth.toml.
pub(crate) fn is_source(path: &str) -> bool {
    let below = |directory: &str| {
        let rest = path.strip_prefix(directory);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    !below(".synth")
        && !below("dist")
        && path != "synth.toml"
        && !OUTPUTS.iter().any(|(_, output)| below(output))
}

/// Whether a path is neither a source nor synth's own: outputs, and what must not be there.
pub(crate) fn is_left(path: &str) -> bool {
    path != ".synth"
}

/// A project with these sources.
pub(crate) fn project() -> Workspace {
    let workspace = with_tools(Workspace::with_files(SOURCES), None);
    let script = workspace.path("app/make.sh");
    fs::set_permissions(script, fs::Permissions::from_mode(0o755)).unwrap();
    write_tool(&workspace, 1);
    workspace
}

/// Has the kind `command`, and the tool of this or another project on the `PATH`.
pub(crate) fn with_tools(workspace: Workspace, other: Option<&Workspace>) -> Workspace {
    let workspace = with_command(workspace);
    let mut path = vec![other.unwrap_or(&workspace).beside("bin")];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap()));
    workspace.variable("PATH", env::join_paths(path).unwrap())
}

/// Writes the tool `stamp`.
pub(crate) fn write_tool(workspace: &Workspace, version: u32) {
    let tool = workspace.beside("bin/stamp");
    fs::create_dir_all(tool.parent().unwrap()).unwrap();
    fs::write(&tool, format!("#!/bin/sh\necho \"{version:06} $1\"\n")).unwrap();
    fs::set_permissions(tool, fs::Permissions::from_mode(0o755)).unwrap();
}
