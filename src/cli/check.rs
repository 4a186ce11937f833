//! `check`: says everything that is wrong with a configuration, without running it.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use crate::config;
use crate::error::exit;

/// Checks a file and the files it names; binds nothing. Problems go to stderr one a
/// line, `FILE: ok` to stdout. Warnings don't fail.
pub fn run(file: &Path) -> ExitCode {
    let shown = file.display();
    match config::load(file, &|name| std::env::var(name).ok()) {
        Ok(loaded) => {
            for warning in &loaded.warnings {
                eprintln!("{warning}");
            }
            match counted(0, loaded.warnings.len()).as_str() {
                "" => say(format_args!("{shown}: ok")),
                warnings => say(format_args!("{shown}: ok, {warnings}")),
            }
        }
        Err(problems) => {
            eprintln!("{problems}");
            let (errors, warnings) = (problems.errors.len(), problems.warnings.len());
            eprintln!("{shown}: {}", counted(errors, warnings));
            ExitCode::from(exit::CONFIG)
        }
    }
}

/// Prints the JSON Schema of the configuration.
pub fn schema() -> ExitCode {
    say(format_args!("{:#}", config::schema()))
}

/// `2 problems, 1 warning`; nothing for none.
fn counted(errors: usize, warnings: usize) -> String {
    let count = |number: usize, word: &str| match number {
        0 => None,
        1 => Some(format!("1 {word}")),
        _ => Some(format!("{number} {word}s")),
    };
    let parts: Vec<String> = [count(errors, "problem"), count(warnings, "warning")]
        .into_iter()
        .flatten()
        .collect();
    parts.join(", ")
}

/// A reader that went away, such as `head`, is no failure of ours.
pub(super) fn say(line: std::fmt::Arguments<'_>) -> ExitCode {
    match writeln!(std::io::stdout(), "{line}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            ExitCode::from(exit::FAILURE)
        }
        _ => ExitCode::from(exit::OK),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// ExitCode can be shown, but not compared.
    fn shown(code: ExitCode) -> String {
        format!("{code:?}")
    }

    #[test]
    fn exit_codes_tell_good_from_bad() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("gateway.yaml");
        let good = "listeners: [{ name: a, address: '127.0.0.1:0', routes: [{ cluster: b }] }]\n\
                    clusters: [{ name: b, endpoints: ['127.0.0.1:1'] }]\n";
        std::fs::write(&file, good).expect("written");
        assert_eq!(shown(run(&file)), shown(ExitCode::from(exit::OK)));
        std::fs::write(&file, "workers: 0\n").expect("written");
        assert_eq!(shown(run(&file)), shown(ExitCode::from(exit::CONFIG)));
        let none = folder.path().join("none.yaml");
        assert_eq!(shown(run(&none)), shown(ExitCode::from(exit::CONFIG)));
    }

    #[test]
    fn counts_read_well() {
        assert_eq!(counted(0, 0), "");
        assert_eq!(counted(1, 0), "1 problem");
        assert_eq!(counted(2, 1), "2 problems, 1 warning");
        assert_eq!(counted(0, 3), "3 warnings");
    }
}
