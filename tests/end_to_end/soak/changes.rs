//! Random changes of a project, as people, editors and version control make them.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use fastrand::Rng;

use super::pipeline::{KEPT, OUTPUTS, Settings, is_source, write_tool};
use super::snapshot::{Entry, Snapshot, restore, snapshot};
use crate::workspace::Workspace;

/// A project and what it has been.
pub(crate) struct Changing<'a> {
    pub(crate) workspace: &'a Workspace,
    pub(crate) random: Rng,
    pub(crate) settings: Settings,
    tool: u32,
    earlier: Vec<Snapshot>,
    made: u32,
}

/// What was done, and what an explanation may name beside the sources that are different.
pub(crate) struct Change {
    pub(crate) what: String,
    pub(crate) names: Vec<String>,
}

impl<'a> Changing<'a> {
    pub(crate) fn new(workspace: &'a Workspace, seed: u64) -> Self {
        let settings = Settings::first();
        workspace.write("synth.toml", settings.config());
        let sources = snapshot(&workspace.root(), is_source);
        Self {
            workspace,
            random: Rng::with_seed(seed),
            settings,
            tool: 1,
            earlier: vec![sources],
            made: 0,
        }
    }

    pub(crate) fn sources(&self) -> Snapshot {
        snapshot(&self.workspace.root(), is_source)
    }

    /// Changes something.
    pub(crate) fn change(&mut self) -> Change {
        let sources = self.sources();
        if self.random.u8(..4) == 0 {
            self.earlier.push(sources.clone());
        }
        match self.random.u8(..24) {
            0..14 => Change {
                what: self.change_sources(&sources),
                names: Vec::new(),
            },
            14..16 => self.change_settings(),
            16..18 => self.change_tool(),
            18..22 => self.change_outputs(),
            _ => {
                let index = self.random.usize(..self.earlier.len());
                restore(&self.workspace.root(), &sources, &self.earlier[index]);
                Change {
                    what: format!("went back to earlier sources {index}"),
                    names: Vec::new(),
                }
            }
        }
    }

    fn change_sources(&mut self, sources: &Snapshot) -> String {
        let path = self.any(sources, |entry| matches!(entry, Entry::File { .. }), true);
        let Some(movable) = self.any(sources, |entry| *entry != Entry::Directory, false) else {
            return self.edit(&path.unwrap());
        };
        let path = path.unwrap();
        let root = self.workspace.root();
        match self.random.u8(..14) {
            0 => self.edit(&path),
            1 => self.edit_unseen(&root.join(path)),
            2 => self.add(sources),
            3 => {
                fs::remove_file(root.join(&movable)).unwrap();
                format!("removed {movable}")
            }
            4 => {
                let (directory, name) = movable.rsplit_once('/').unwrap();
                let to = format!("{directory}/moved {}{}", self.next(), ending(name));
                fs::rename(root.join(&movable), root.join(&to)).unwrap();
                format!("renamed {movable} to {to}")
            }
            5 => change_mode(&root.join(path)),
            6 => self.swap(sources),
            7 => self.replace_directory(sources),
            8 => self.link(sources),
            9 => {
                let file = File::options().append(true).open(root.join(&path)).unwrap();
                let now = std::time::SystemTime::now();
                file.set_times(FileTimes::new().set_modified(now)).unwrap();
                format!("touched {path}")
            }
            10 => {
                let Entry::File { mode, bytes } = &sources[&path] else {
                    unreachable!("a file was chosen");
                };
                fs::remove_file(root.join(&path)).unwrap();
                fs::write(root.join(&path), bytes).unwrap();
                fs::set_permissions(root.join(&path), fs::Permissions::from_mode(*mode)).unwrap();
                format!("wrote {path} anew, with the same bytes")
            }
            11 => {
                let directory = self.directory(sources);
                let made = format!("{directory}/empty {}", self.next());
                fs::create_dir(root.join(&made)).unwrap();
                format!("made the directory {made}")
            }
            12 => self.unlist(sources),
            _ => self.edit_unseen(&root.join(path)),
        }
    }

    fn next(&mut self) -> u32 {
        self.made += 1;
        self.made
    }

    fn edit(&mut self, path: &str) -> String {
        let line = format!("# {}\n", self.next());
        let path = self.workspace.path(path);
        let mut bytes = fs::read(&path).unwrap();
        bytes.extend(line.as_bytes());
        fs::write(&path, bytes).unwrap();
        format!("appended to {}", path.display())
    }

    /// Changes one byte, and puts the time of the last change back.
    fn edit_unseen(&mut self, path: &Path) -> String {
        let modified = fs::metadata(path).unwrap().modified().unwrap();
        let mut bytes = fs::read(path).unwrap();
        let at = bytes.len().saturating_sub(2);
        if let Some(byte) = bytes.get_mut(at) {
            let other = self.random.alphanumeric();
            *byte = u8::try_from(other).unwrap();
        }
        fs::write(path, bytes).unwrap();
        let file = File::options().append(true).open(path).unwrap();
        file.set_times(FileTimes::new().set_modified(modified))
            .unwrap();
        format!("changed a byte of {}, time restored", path.display())
    }

    fn add(&mut self, sources: &Snapshot) -> String {
        let directory = self.directory(sources);
        let ending = self.random.choice([".txt", ".c", ".h", ""]).unwrap();
        let path = format!("{directory}/neu ü {}{ending}", self.next());
        self.workspace.write(&path, format!("new {}\n", self.made));
        format!("added {path}")
    }

    /// Two files change places, with their times.
    fn swap(&mut self, sources: &Snapshot) -> String {
        let file = |entry: &Entry| matches!(entry, Entry::File { .. });
        let one = self.any(sources, file, false);
        let other = self.any(sources, file, false);
        let (Some(one), Some(other)) = (one, other) else {
            return "swapped nothing".to_owned();
        };
        if one != other {
            let root = self.workspace.root();
            let aside = self.workspace.beside("aside");
            fs::rename(root.join(&one), &aside).unwrap();
            fs::rename(root.join(&other), root.join(&one)).unwrap();
            fs::rename(&aside, root.join(&other)).unwrap();
        }
        format!("swapped {one} and {other}")
    }

    /// A file takes the place of a directory.
    fn replace_directory(&mut self, sources: &Snapshot) -> String {
        let replaceable = |path: &&String| {
            path.matches('/').count() > 0
                && sources[*path] == Entry::Directory
                && !KEPT
                    .iter()
                    .any(|kept| kept.starts_with(&format!("{path}/")))
        };
        let all: Vec<&String> = sources.keys().filter(replaceable).collect();
        let Some(path) = self.random.choice(all) else {
            return "no directory can be replaced".to_owned();
        };
        fs::remove_dir_all(self.workspace.path(path)).unwrap();
        self.workspace.write(path, "once a directory\n");
        format!("replaced the directory {path} by a file")
    }

    /// Moves a directory away, with everything in it.
    fn unlist(&mut self, sources: &Snapshot) -> String {
        let all: Vec<&String> = sources
            .keys()
            .filter(|path| path.starts_with("lib/sub/") && sources[*path] == Entry::Directory)
            .collect();
        let Some(path) = self.random.choice(all) else {
            return "no directory can be renamed".to_owned();
        };
        let (above, _) = path.rsplit_once('/').unwrap();
        let to = format!("{above}/dir {}", self.next());
        fs::rename(self.workspace.path(path), self.workspace.path(&to)).unwrap();
        format!("renamed the directory {path} to {to}")
    }

    fn link(&mut self, sources: &Snapshot) -> String {
        let all: Vec<&String> = sources.keys().filter(|path| path.contains('/')).collect();
        let to = self.random.choice(all).unwrap();
        let (directory, name) = to.rsplit_once('/').unwrap();
        let path = format!("{directory}/link {}{}", self.next(), ending(name));
        symlink(name, self.workspace.path(&path)).unwrap();
        format!("linked {path} to {name}")
    }

    fn directory(&mut self, sources: &Snapshot) -> String {
        let all: Vec<&String> = sources
            .keys()
            .filter(|path| sources[*path] == Entry::Directory)
            .collect();
        (*self.random.choice(all).unwrap()).clone()
    }

    /// A source, any or one that need not stay where it is.
    fn any(&mut self, sources: &Snapshot, kind: fn(&Entry) -> bool, kept: bool) -> Option<String> {
        let all: Vec<&String> = sources
            .iter()
            .filter(|(path, entry)| kind(entry) && (kept || !KEPT.contains(&path.as_str())))
            .map(|(path, _)| path)
            .collect();
        self.random.choice(all).cloned()
    }

    fn change_settings(&mut self) -> Change {
        let (value, name) = match self.random.bool() {
            true => (&mut self.settings.greeting, "GREETING"),
            false => (&mut self.settings.farewell, "FAREWELL"),
        };
        // Few values, so that earlier ones come back.
        *value = self.random.u32(1..4);
        let what = format!("set {name} to {value}");
        self.workspace.write("synth.toml", self.settings.config());
        Change {
            what,
            names: vec![format!("`{name}`")],
        }
    }

    fn change_tool(&mut self) -> Change {
        self.tool = self.random.u32(1..5);
        let path = self.workspace.beside("bin/stamp");
        let modified = fs::metadata(&path).unwrap().modified().unwrap();
        write_tool(self.workspace, self.tool);
        if self.random.bool() {
            let file = File::options().append(true).open(&path).unwrap();
            file.set_times(FileTimes::new().set_modified(modified))
                .unwrap();
        }
        Change {
            what: format!("made the tool be of version {}", self.tool),
            names: vec!["`stamp`".to_owned()],
        }
    }

    /// Damages outputs.
    fn change_outputs(&mut self) -> Change {
        let (_, output) = self.random.choice(OUTPUTS).unwrap();
        let root = self.workspace.path(output);
        let all: Vec<PathBuf> = snapshot(&root, |_| true)
            .into_iter()
            .filter(|(_, entry)| matches!(entry, Entry::File { .. }))
            .map(|(path, _)| root.join(path))
            .collect();
        let file = self.random.choice(all);
        // What stands among the sources and isn't what synth wrote is somebody's work: synth
        // refuses to replace it, so that only removals say something here.
        let kinds = if output.starts_with("dist/") { 5 } else { 2 };
        let what = match (self.random.u8(..kinds), file) {
            (0, _) | (_, None) => {
                if root.exists() {
                    fs::remove_dir_all(&root).unwrap();
                }
                format!("removed {output}")
            }
            (1, Some(file)) => {
                fs::remove_file(&file).unwrap();
                format!("removed {}", file.display())
            }
            (2, Some(file)) => self.edit_unseen(&file),
            (3, Some(file)) => change_mode(&file),
            (_, Some(file)) => {
                fs::write(&file, "no output\n").unwrap();
                format!("overwrote {}", file.display())
            }
        };
        Change {
            what,
            names: vec![format!("the output `{output}")],
        }
    }
}

/// Makes a file executable, or no longer.
fn change_mode(path: &Path) -> String {
    let mode = fs::metadata(path).unwrap().permissions().mode();
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    if name != "make.sh" {
        fs::set_permissions(path, fs::Permissions::from_mode(mode ^ 0o111)).unwrap();
    }
    format!("changed the mode of {}", path.display())
}

fn ending(name: &str) -> &str {
    name.rfind('.').map_or("", |at| &name[at..])
}
