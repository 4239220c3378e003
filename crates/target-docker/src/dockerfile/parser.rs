//! From logical lines to a Dockerfile's stages. Every problem of the file is reported, not only
//! the first.

use synth_core::Diagnostic;

use super::arguments::{self, Wrong};
use super::copy_arguments;
use super::instruction::{Dockerfile, Instruction, Keyword, Stage, Statement};
use super::lines::{self, LogicalLine};
use super::source::SourceText;
use super::words;
use crate::nearest::nearest;

/// Reads a Dockerfile. What could be read is returned beside the problems of what could not.
pub(crate) fn parse(text: &str, source: &SourceText) -> (Dockerfile, Vec<Diagnostic>) {
    let mut problems = Vec::new();
    let lines = lines::split(text, source, &mut problems);
    let mut parser = Parser {
        source,
        problems,
        orphans: false,
        dockerfile: Dockerfile {
            escape: lines.escape,
            global_arguments: Vec::new(),
            stages: Vec::new(),
        },
    };
    for line in &lines.lines {
        parser.line(line);
    }
    if parser.dockerfile.stages.is_empty() && parser.problems.is_empty() {
        let path = source.path();
        parser.problems.push(
            Diagnostic::error("docker.from.missing", format!("`{path}` has no `FROM`"))
                .in_file(path)
                .help("begin with `FROM scratch` or the image to build on"),
        );
    }
    (parser.dockerfile, parser.problems)
}

struct Parser<'a> {
    source: &'a SourceText,
    problems: Vec<Diagnostic>,
    /// An instruction before the first `FROM` was reported.
    orphans: bool,
    dockerfile: Dockerfile,
}

impl Parser<'_> {
    fn line(&mut self, line: &LogicalLine) {
        let (word, rest) = words::first(&line.text);
        let Some(keyword) = Keyword::find(word) else {
            let names = Keyword::ALL.iter().map(|(name, _)| *name);
            let known = nearest(&word.to_ascii_uppercase(), names);
            let wrong = Wrong::new(
                "instruction.unknown",
                format!("`{word}` is not an instruction"),
            );
            self.wrong(
                line.line,
                match known {
                    Some(known) => wrong.help(format!("the nearest one is `{known}`")),
                    None => wrong.help("if it continues the line before, end that one with `\\`"),
                },
            );
            return;
        };
        if keyword == Keyword::From {
            match from(rest) {
                Ok(stage) => self.stage(stage, line.line),
                Err(wrong) => {
                    self.wrong(line.line, wrong);
                    // What follows belongs to this stage all the same.
                    self.dockerfile.stages.push(Stage {
                        line: line.line,
                        base: "scratch".into(),
                        platform: None,
                        name: None,
                        statements: Vec::new(),
                    });
                }
            }
            return;
        }
        match instruction(keyword, rest, line, self.dockerfile.escape) {
            Ok((instruction, warnings)) => {
                for warning in warnings {
                    let code = format!("docker.{}", warning.code);
                    let diagnostic = self.source.warning(line.line, &code, warning.message);
                    self.problems
                        .push(warning.help.into_iter().fold(diagnostic, Diagnostic::help));
                }
                self.statement(Statement {
                    line: line.line,
                    text: format!("{keyword} {rest}"),
                    instruction,
                });
            }
            Err(wrong) => self.wrong(line.line, wrong),
        }
    }

    fn stage(&mut self, mut stage: Stage, line: u32) {
        stage.line = line;
        if let Some(name) = &stage.name {
            let earlier = self.dockerfile.stages.iter();
            let twice = earlier
                .filter(|earlier| earlier.name.as_ref() == Some(name))
                .map(|earlier| earlier.line)
                .next();
            if let Some(earlier) = twice {
                self.wrong(
                    line,
                    Wrong::new(
                        "stage.duplicate",
                        format!("the stage `{name}` is already there, in line {earlier}"),
                    )
                    .help("give one of them another name"),
                );
            }
        }
        self.dockerfile.stages.push(stage);
    }

    fn statement(&mut self, statement: Statement) {
        if let Some(stage) = self.dockerfile.stages.last_mut() {
            stage.statements.push(statement);
        } else if matches!(statement.instruction, Instruction::Arguments(_)) {
            self.dockerfile.global_arguments.push(statement);
        } else if !self.orphans {
            // The rest of them would say nothing new.
            self.orphans = true;
            let (keyword, _) = words::first(&statement.text);
            self.wrong(
                statement.line,
                Wrong::new(
                    "from.missing",
                    format!("`{keyword}` stands before the first `FROM`"),
                )
                .help("only `ARG` may; begin with `FROM scratch` or the image to build on"),
            );
        }
    }

    fn wrong(&mut self, line: u32, wrong: Wrong) {
        let code = format!("docker.{}", wrong.code);
        let diagnostic = self.source.error(line, &code, wrong.message);
        self.problems
            .push(wrong.help.into_iter().fold(diagnostic, Diagnostic::help));
    }
}

fn from(rest: &str) -> Result<Stage, Wrong> {
    let (flags, rest) = words::flags(rest);
    let mut platform = None;
    for flag in flags {
        match flag.name.as_str() {
            "platform" => platform = Some(arguments::flag_value(Keyword::From, &flag)?),
            _ => return Err(arguments::unknown_flag(Keyword::From, &flag, &["platform"])),
        }
    }
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (base, name) = match words.as_slice() {
        [base] => (*base, None),
        [base, word, name] if word.eq_ignore_ascii_case("as") => (*base, Some(*name)),
        _ => {
            return Err(
                Wrong::new("from.arguments", "`FROM` takes an image and no more")
                    .help("write `FROM image` or `FROM image AS name`"),
            );
        }
    };
    let name = name.map(str::to_ascii_lowercase);
    if let Some(name) = &name {
        let valid = name.starts_with(|c: char| c.is_ascii_lowercase())
            && name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if !valid || name == "scratch" {
            return Err(
                Wrong::new("stage.name", format!("`{name}` can't be a stage's name")).help(
                    "begin with a letter; then letters, digits, `-`, `_` and `.`; not `scratch`",
                ),
            );
        }
    }
    Ok(Stage {
        line: 0,
        base: base.to_owned(),
        platform,
        name,
        statements: Vec::new(),
    })
}

/// What goes for every instruction: arguments are there, and flags only where there are any.
fn check_shape(keyword: Keyword, rest: &str) -> Result<(), Wrong> {
    let takes_none = keyword == Keyword::Cmd || keyword == Keyword::Entrypoint;
    if rest.is_empty() && !takes_none {
        return Err(Wrong::new(
            "arguments.missing",
            format!("`{keyword}` needs an argument"),
        ));
    }
    let takes_flags = matches!(
        keyword,
        Keyword::Add | Keyword::Copy | Keyword::Run | Keyword::Healthcheck
    );
    // The shell form of a command may well begin with two dashes.
    let text_form = matches!(
        keyword,
        Keyword::Cmd | Keyword::Entrypoint | Keyword::Onbuild | Keyword::Maintainer
    );
    if !takes_flags
        && !text_form
        && let Some(flag) = words::flags(rest).0.first()
    {
        return Err(arguments::unknown_flag(keyword, flag, &[]));
    }
    Ok(())
}

fn instruction(
    keyword: Keyword,
    rest: &str,
    line: &LogicalLine,
    escape: char,
) -> Result<(Instruction, Vec<Wrong>), Wrong> {
    check_shape(keyword, rest)?;
    let mut warnings = Vec::new();
    let instruction = match keyword {
        Keyword::From => return Err(Wrong::new("from.arguments", "`FROM` is out of place")),
        Keyword::Add | Keyword::Copy => {
            let copy = copy_arguments::parse(keyword, rest, &line.heredocs, &mut warnings)?;
            Instruction::Copy(Box::new(copy))
        }
        Keyword::Arg => Instruction::Arguments(arguments::build_arguments(rest, escape)?),
        Keyword::Env => Instruction::Environment(arguments::pairs(keyword, rest, escape)?),
        Keyword::Label => Instruction::Labels(arguments::pairs(keyword, rest, escape)?),
        Keyword::Cmd => Instruction::Command(arguments::command(keyword, rest, &mut warnings)),
        Keyword::Entrypoint => {
            Instruction::Entrypoint(arguments::command(keyword, rest, &mut warnings))
        }
        Keyword::Run => Instruction::Run(arguments::run(rest, &mut warnings)?),
        Keyword::Expose => Instruction::Expose(rest.to_owned()),
        Keyword::Volume => Instruction::Volumes(arguments::volumes(rest, &mut warnings)?),
        Keyword::Healthcheck => {
            Instruction::Healthcheck(arguments::healthcheck(rest, &mut warnings)?)
        }
        Keyword::Shell => Instruction::Shell(arguments::shell(rest)?),
        Keyword::Stopsignal => Instruction::StopSignal(rest.to_owned()),
        Keyword::User => Instruction::User(rest.to_owned()),
        Keyword::Workdir => Instruction::WorkingDirectory(rest.to_owned()),
        Keyword::Maintainer => Instruction::Maintainer(rest.to_owned()),
        Keyword::Onbuild => {
            arguments::on_build(rest)?;
            let trigger = LogicalLine {
                text: rest.to_owned(),
                ..line.clone()
            };
            let (word, rest) = words::first(rest);
            if let Some(keyword) = Keyword::find(word) {
                warnings.extend(instruction(keyword, rest, &trigger, escape)?.1);
            }
            Instruction::OnBuild(trigger.text)
        }
    };
    Ok((instruction, warnings))
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::assert_snapshot;

    fn problems(text: &str) -> String {
        let source = SourceText::new("Dockerfile", text);
        let (_, problems) = parse(text, &source);
        crate::testing::render(&problems)
    }

    #[test]
    fn every_problem_of_a_file_is_reported_with_its_line() {
        assert_snapshot!(problems(
            "COPY a /a\nFORM scratch\nFROM scratch AS one AS two\nCOPPY a b\nCOPY --form=x a b\nENV\nSHELL bash\n"
        ), @r#"
        error[docker.from.missing]: `COPY` stands before the first `FROM`
          Dockerfile:1 | COPY a /a
          help: only `ARG` may; begin with `FROM scratch` or the image to build on
        error[docker.instruction.unknown]: `FORM` is not an instruction
          Dockerfile:2 | FORM scratch
          help: the nearest one is `FROM`
        error[docker.from.arguments]: `FROM` takes an image and no more
          Dockerfile:3 | FROM scratch AS one AS two
          help: write `FROM image` or `FROM image AS name`
        error[docker.instruction.unknown]: `COPPY` is not an instruction
          Dockerfile:4 | COPPY a b
          help: the nearest one is `COPY`
        error[docker.flag.unknown]: `COPY` has no flag `--form`
          Dockerfile:5 | COPY --form=x a b
          help: the nearest one is `--from`
        error[docker.arguments.missing]: `ENV` needs an argument
          Dockerfile:6 | ENV
        error[docker.shell.list]: `SHELL` needs a JSON list of texts
          Dockerfile:7 | SHELL bash
          help: write `SHELL ["/bin/bash", "-c"]`
        "#);
    }

    #[test]
    fn instructions_that_say_too_little_or_too_much() {
        assert_snapshot!(problems(
            "FROM scratch AS 1st\nFROM --plattform=x scratch\nARG 1=2\nENV A\nLABEL =x\nCOPY a\nADD --checksum a b\nCOPY --from=a --from=b c d\n\
             RUN --mount=type=secrets,id=x true\nHEALTHCHECK --interval=5 CMD true\nHEALTHCHECK CURL x\nONBUILD FROM x\nONBUILD ONBUILD RUN x\n\
             USER --x y\nVOLUME []\nCMD ['a']\nCOPY --chmod=999 a b\nRUN --secure x"
        ), @"
        error[docker.stage.name]: `1st` can't be a stage's name
          Dockerfile:1 | FROM scratch AS 1st
          help: begin with a letter; then letters, digits, `-`, `_` and `.`; not `scratch`
        error[docker.flag.unknown]: `FROM` has no flag `--plattform`
          Dockerfile:2 | FROM --plattform=x scratch
          help: the nearest one is `--platform`
        error[docker.arg.name]: `1` can't be an argument's name
          Dockerfile:3 | ARG 1=2
          help: begin with a letter or `_`; then letters, digits and `_`
        error[docker.pair.value]: `ENV A` has no value
          Dockerfile:4 | ENV A
          help: write `ENV A=value`
        error[docker.pair.name]: `=x` has no name before `=`
          Dockerfile:5 | LABEL =x
        error[docker.copy.arguments]: `COPY` needs a source and a destination
          Dockerfile:6 | COPY a
          help: write `COPY SOURCE.. DESTINATION`
        error[docker.flag.value]: `ADD --checksum` needs a value
          Dockerfile:7 | ADD --checksum a b
          help: write `--checksum=VALUE`
        error[docker.flag.duplicate]: `--from` is there twice
          Dockerfile:8 | COPY --from=a --from=b c d
        error[docker.run.mount]: `secrets` is not a type of mount
          Dockerfile:9 | RUN --mount=type=secrets,id=x true
          help: the nearest one is `secret`
        error[docker.healthcheck.duration]: `--interval=5` is not a duration
          Dockerfile:10 | HEALTHCHECK --interval=5 CMD true
          help: write a number and a unit: `500ms`, `30s`, `1m30s`
        error[docker.healthcheck.form]: `HEALTHCHECK` needs `NONE`, or `CMD` and a command
          Dockerfile:11 | HEALTHCHECK CURL x
          help: write `HEALTHCHECK CMD command`
        error[docker.onbuild.instruction]: `ONBUILD FROM` is not allowed
          Dockerfile:12 | ONBUILD FROM x
        error[docker.onbuild.instruction]: `ONBUILD ONBUILD` is not allowed
          Dockerfile:13 | ONBUILD ONBUILD RUN x
        error[docker.flag.unknown]: `USER` has no flag `--x`
          Dockerfile:14 | USER --x y
          help: `USER` takes no flags
        error[docker.volume.empty]: `VOLUME` needs the path of a directory
          Dockerfile:15 | VOLUME []
        warning[docker.json.broken]: `CMD` looks like a JSON list but is none, so it is taken as text
          Dockerfile:16 | CMD ['a']
          help: a JSON list needs double quotes around its items
        error[docker.flag.unknown]: `RUN` has no flag `--secure`
          Dockerfile:18 | RUN --secure x
          help: its flags are --mount, --network, --security, --device
        ");
    }

    #[test]
    fn a_file_without_a_stage() {
        assert_snapshot!(problems("# nothing\n"), @"
        error[docker.from.missing]: `Dockerfile` has no `FROM`
          Dockerfile
          help: begin with `FROM scratch` or the image to build on
        ");
    }

    #[test]
    fn stages_and_their_statements() {
        let text = "ARG V=1\nfrom base:$V as Build\nRUN x\nFROM scratch\nCOPY --from=build /x /y\n";
        let source = SourceText::new("Dockerfile", text);
        let (dockerfile, problems) = parse(text, &source);
        assert_eq!(problems, []);
        assert_eq!(dockerfile.global_arguments.len(), 1);
        let stages: Vec<_> = dockerfile
            .stages
            .iter()
            .map(|stage| {
                (
                    stage.line,
                    stage.base.as_str(),
                    stage.name.as_deref(),
                    stage.statements.len(),
                )
            })
            .collect();
        assert_eq!(
            stages,
            [(2, "base:$V", Some("build"), 1), (4, "scratch", None, 1)]
        );
    }
}
