//! A report for people.

use std::collections::HashSet;
use std::fmt::Write;

use clap::builder::styling::{AnsiColor, Style};

use super::report::{
    Accelerable, Accelerator, Certificate, Configuration, Finding, Masked, Report, Setting,
};

/// Colours, or none.
#[derive(Clone, Copy)]
pub struct Paint {
    pub colours: bool,
}

impl Paint {
    fn in_style(self, style: Style, text: &str) -> String {
        match self.colours {
            true => format!("{style}{text}{style:#}"),
            false => text.to_owned(),
        }
    }

    fn bold(self, text: &str) -> String {
        self.in_style(Style::new().bold(), text)
    }

    fn good(self, text: &str) -> String {
        self.in_style(AnsiColor::Green.on_default(), text)
    }

    fn bad(self, text: &str) -> String {
        self.in_style(AnsiColor::Red.on_default(), text)
    }

    fn warn(self, text: &str) -> String {
        self.in_style(AnsiColor::Yellow.on_default(), text)
    }

    fn command(self, text: &str) -> String {
        self.in_style(AnsiColor::Cyan.on_default(), &format!("# {text}"))
    }
}

/// Days before a certificate's end in which it should be renewed.
const RENEW: i32 = 30;

/// The whole report, its lines ended.
pub fn render(report: &Report, paint: Paint) -> String {
    let mut out = String::new();
    let root = report
        .root
        .as_ref()
        .map(|root| format!(", looking at {root}"));
    let _ = writeln!(
        out,
        "qat-gateway {}, {}{}",
        report.version,
        report.openssl,
        root.unwrap_or_default()
    );
    if let Some(configuration) = &report.configuration {
        heading(
            &mut out,
            paint,
            &format!("Configuration {}", configuration.file),
        );
        preference(&mut out, paint, configuration);
        for one in &configuration.certificates {
            certificate(&mut out, paint, one);
        }
    }
    heading(&mut out, paint, "Accelerators");
    let mut told = HashSet::new();
    for one in &report.accelerators {
        accelerator(&mut out, paint, one, &mut told);
    }
    if !report.hints.is_empty() {
        heading(&mut out, paint, "Good to know");
    }
    for hint in &report.hints {
        finding(&mut out, paint, hint, &mut told);
    }
    heading(&mut out, paint, "What they give");
    gains(&mut out, &report.accelerators);
    let whose = match report.configuration {
        Some(_) => "Kernel and limits",
        None => "Kernel and limits, for a configuration's defaults",
    };
    heading(&mut out, paint, whose);
    for one in &report.settings {
        setting(&mut out, paint, one);
    }
    out
}

fn heading(out: &mut String, paint: Paint, text: &str) {
    let _ = writeln!(out, "\n{}", paint.bold(text));
}

fn preference(out: &mut String, paint: Paint, configuration: &Configuration) {
    let prefer = configuration.prefer.join(", ");
    let told = match (configuration.used, configuration.holds) {
        _ if prefer.is_empty() => "no accelerator is preferred".to_owned(),
        (Some(used), true) => format!("prefers {prefer}: {}", paint.good(&format!("uses {used}"))),
        (Some(used), false) => {
            let told = paint.bad(&format!("none can be used, {used} is"));
            format!("prefers {prefer}: {told}")
        }
        (None, _) => {
            let told = paint.bad("none can be used, and the gateway does not start");
            format!("requires {prefer}: {told}")
        }
    };
    let _ = writeln!(out, "  {told}");
}

fn certificate(out: &mut String, paint: Paint, one: &Certificate) {
    let names = match &one.names[..] {
        [] => "any name".to_owned(),
        [name] => name.clone(),
        [name, others @ ..] => format!("{name} and {} more", others.len()),
    };
    let left = match one.expires_in_days {
        days if days < 0 => paint.bad(&format!("expired {} days ago", -days)),
        days if days < RENEW => paint.warn(&format!("expires in {days} days")),
        days => format!("expires in {days} days"),
    };
    let accelerable = match one.accelerable {
        Accelerable::Yes => paint.good("accelerable"),
        Accelerable::Partly => paint.warn("partly accelerable"),
        Accelerable::No => paint.warn("hardly accelerable"),
    };
    let (listener, key, why) = (&one.listener, &one.key, one.why);
    let _ = writeln!(out, "  {listener}: {key} for {names}, {left}");
    let _ = writeln!(out, "    {accelerable}: {why}");
}

fn accelerator<'a>(out: &mut String, paint: Paint, one: &'a Accelerator, told: &mut Told<'a>) {
    let state = match &one.what {
        Some(what) => format!("{} ({what})", paint.good("can be used")),
        None => paint.warn("cannot be used"),
    };
    let _ = writeln!(out, "  {}: {state}", one.name);
    for reason in &one.reasons {
        finding(out, paint, reason, told);
    }
    for Masked { algorithm, by } in &one.masked {
        let _ = writeln!(out, "    - {}: masked by {by}", paint.warn(algorithm));
    }
}

/// Commands that stand above already: a card's are those of the engine and the provider.
type Told<'a> = HashSet<&'a str>;

fn finding<'a>(out: &mut String, paint: Paint, finding: &'a Finding, told: &mut Told<'a>) {
    let _ = writeln!(out, "    - {}", finding.what);
    if let Some(remedy) = finding.remedy.as_ref().filter(|remedy| told.insert(remedy)) {
        let _ = writeln!(out, "      {}", paint.command(remedy));
    }
}

fn gains(out: &mut String, accelerators: &[Accelerator]) {
    let mut any = false;
    for one in accelerators {
        let Some(offload) = &one.offload else {
            continue;
        };
        any = true;
        let _ = writeln!(
            out,
            "  {}: offloads {}, once a worker's handshakes in progress are {}",
            one.name,
            offload.algorithms.join(" and "),
            offload.break_even
        );
        for row in &offload.measured {
            let (software, accelerated) = (row.software, row.accelerated);
            let _ = writeln!(
                out,
                "    {}: {software:.1} µs in software, {accelerated:.1} µs accelerated ({:.1} \
                 times as fast)",
                row.algorithm,
                software / accelerated
            );
        }
    }
    if !any {
        let _ = writeln!(out, "  nothing was measured");
    }
}

fn setting(out: &mut String, paint: Paint, one: &Setting) {
    let name = one.name;
    let (Some(present), advised) = (&one.present, &one.advised) else {
        let _ = writeln!(
            out,
            "  {}       {name}: cannot be read here",
            paint.warn("?")
        );
        return;
    };
    let Some(advised) = advised else {
        let _ = writeln!(out, "  {}      {name}: {present}", paint.good("ok"));
        return;
    };
    let _ = writeln!(
        out,
        "  {}  {name}: {present}, better {advised}\n          {}",
        paint.warn("change"),
        one.why
    );
    if let Some(remedy) = &one.remedy {
        let _ = writeln!(out, "          {}", paint.command(remedy));
    }
}

/// A file for /etc/sysctl.d with what should change. sysctl.d(5).
pub fn sysctl_file(settings: &[Setting]) -> String {
    let mut out = "# qat-gateway: settings of the kernel that cost it speed here.\n\
                   # Write it to /etc/sysctl.d/90-qat-gateway.conf, then: sysctl --system\n"
        .to_owned();
    let keys = settings.iter().filter(|one| one.sysctl);
    for Setting {
        name,
        why,
        present,
        advised,
        ..
    } in keys
    {
        let (Some(present), Some(advised)) = (present, advised) else {
            continue;
        };
        let _ = write!(out, "\n# {why}.\n# It is {present}.\n{name} = {advised}\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::measured::{Measured, Offload};
    use super::*;

    #[test]
    fn colours_are_for_those_who_want_them() {
        let painted = |colours| Paint { colours }.bad("no");
        assert_eq!(painted(false), "no");
        assert_eq!(painted(true), "\u{1b}[31mno\u{1b}[0m");
    }

    #[test]
    fn a_certificates_age_is_told() {
        let told = |expires_in_days| {
            let one = Certificate {
                listener: "edge".to_owned(),
                names: ["a.example", "b.example"].map(str::to_owned).to_vec(),
                key: "RSA 2048".to_owned(),
                accelerable: Accelerable::Yes,
                why: "why",
                expires_in_days,
            };
            let mut out = String::new();
            certificate(&mut out, Paint { colours: false }, &one);
            out
        };
        let expected = "  edge: RSA 2048 for a.example and 1 more, expires in 3 days\n    \
                        accelerable: why\n";
        assert_eq!(told(3), expected);
        assert!(told(-2).contains("expired 2 days ago"));
    }

    #[test]
    fn what_was_measured_is_told() {
        let mut out = String::new();
        let one = Accelerator {
            name: "multibuffer",
            usable: true,
            what: None,
            reasons: Vec::new(),
            masked: Vec::new(),
            offload: Some(Offload {
                algorithms: vec!["rsa"],
                break_even: 3,
                measured: vec![Measured {
                    algorithm: "rsa",
                    software: 600.0,
                    accelerated: 200.0,
                }],
            }),
        };
        gains(&mut out, &[one]);
        let expected = "  multibuffer: offloads rsa, once a worker's handshakes in progress are 3\n    \
                        rsa: 600.0 µs in software, 200.0 µs accelerated (3.0 times as fast)\n";
        assert_eq!(out, expected);
    }
}
