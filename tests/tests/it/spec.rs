//! Holds `protocol/SPEC.md` to the code and its vectors, so that neither moves without the other.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a panic there is the test failing")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use sealpost_protocol::code::Code;

/// The repository.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

fn testdata() -> PathBuf {
    root().join("protocol/testdata")
}

fn spec() -> String {
    fs::read_to_string(root().join("protocol/SPEC.md")).unwrap()
}

/// Every Rust source of the workspace, by its path from the root.
pub(crate) fn sources() -> BTreeMap<String, String> {
    let mut sources = BTreeMap::new();
    let mut folders: Vec<PathBuf> =
        ["protocol/src", "server/src", "client/src", "tests/src", "tests/tests"]
            .map(|folder| root().join(folder))
            .into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
                sources.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    sources
}

/// The names of all functions that the test harness calls.
pub(crate) fn test_functions(sources: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for source in sources.values() {
        let mut is_test = false;
        for line in source.lines().map(str::trim) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_test = true;
            } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) {
                names.extend(rest.split('(').next().map(str::to_owned));
                is_test = false;
            }
        }
    }
    names
}

/// What stands in backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// A section: its number, its title, its text without fenced examples, and those.
struct Section {
    number: usize,
    title: String,
    prose: String,
    /// The vector an example is said to show, if any, and its lines.
    examples: Vec<(Option<String>, Vec<String>)>,
}

fn sections(spec: &str) -> Vec<Section> {
    let mut sections: Vec<Section> = Vec::new();
    let mut in_example = false;
    for line in spec.lines() {
        if let Some(vector) = line.strip_prefix("```") {
            in_example = !in_example;
            if in_example {
                let vector = Some(vector.to_owned()).filter(|vector| !vector.is_empty());
                sections.last_mut().unwrap().examples.push((vector, Vec::new()));
            }
        } else if in_example {
            let (_, lines) = sections.last_mut().unwrap().examples.last_mut().unwrap();
            lines.push(line.to_owned());
        } else if let Some(heading) = line.strip_prefix("## ") {
            let (number, title) = heading.split_once(' ').unwrap();
            sections.push(Section {
                number: number.parse().unwrap(),
                title: title.to_owned(),
                prose: String::new(),
                examples: Vec::new(),
            });
        } else if let Some(section) = sections.last_mut() {
            section.prose += line;
            section.prose += "\n";
        }
    }
    assert!(!in_example, "an example does not end");
    sections
}

/// The numbered rules of a section, each as one line.
fn rules(section: &Section) -> Vec<(usize, String)> {
    let mut rules: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for line in section.prose.lines() {
        let numbered = line
            .split_once(". ")
            .and_then(|(number, text)| Some((number.parse::<usize>().ok()?, text)));
        if let Some((number, text)) = numbered {
            rules.push((number, text.to_owned()));
            open = true;
        } else if open && line.starts_with("  ") {
            let (_, rule) = rules.last_mut().unwrap();
            rule.push(' ');
            rule.push_str(line.trim());
        } else {
            open = false;
        }
    }
    rules
}

/// What is wrong with the rules of `spec`, a line each.
fn faults_of_rules(
    spec: &str,
    tests: &BTreeSet<String>,
    is_vector: &dyn Fn(&str) -> bool,
) -> Vec<String> {
    let mut faults = Vec::new();
    for section in sections(spec) {
        for (at, (number, rule)) in rules(&section).into_iter().enumerate() {
            let place = format!("§{}, {number}", section.number);
            if number != at + 1 {
                faults.push(format!("{place}: should be rule {}", at + 1));
            }
            let named: Vec<&str> =
                rule.split_once('→').map(|(_, named)| quoted(named).collect()).unwrap_or_default();
            if named.is_empty() {
                faults.push(format!("{place} names no test"));
            }
            for name in named {
                if !tests.contains(name) && !is_vector(name) {
                    faults.push(format!("{place} names {name}, which is not there"));
                }
            }
        }
    }
    faults
}

fn is_vector(name: &str) -> bool {
    name.contains('/') && testdata().join(name).is_file()
}

#[test]
fn every_rule_names_a_test_that_is_there() {
    let spec = spec();
    let faults = faults_of_rules(&spec, &test_functions(&sources()), &is_vector);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    let count: usize = sections(&spec).iter().map(|section| rules(section).len()).sum();
    assert!(count > 100, "only {count} rules were found: is this the text?");
}

/// The check above, shown to see what it is for.
#[test]
fn a_rule_without_its_test_is_noticed() {
    let tests = BTreeSet::from(["it_holds".to_owned()]);
    let faults = |text: &str| faults_of_rules(text, &tests, &|name| name == "card/card");
    let good = "## 1 Card\n\n1. A rule. → `it_holds`,\n   `card/card`\n2. Another. → `it_holds`\n";
    assert_eq!(faults(good), Vec::<String>::new());
    assert_eq!(faults(&good.replace("2. Another. → `it_holds`", "2. Another.")).len(), 1);
    assert_eq!(faults(&good.replace("`it_holds`\n", "`it_fails`\n")).len(), 1);
    assert_eq!(faults(&good.replace("card/card", "card/none")).len(), 1);
    assert_eq!(faults(&good.replace("2. A", "3. A")).len(), 1);
}

#[test]
fn sections_are_numbered_and_in_the_table_of_contents() {
    let spec = spec();
    let contents = spec.split("\n## ").next().unwrap();
    for (at, section) in sections(&spec).iter().enumerate() {
        assert_eq!(section.number, at + 1, "{}", section.title);
        let kept = |char: &char| char.is_alphanumeric() || *char == ' ' || *char == '-';
        let anchor: String = section.title.to_lowercase().chars().filter(kept).collect();
        let number = section.number;
        let row = format!("| [{number}](#{number}-{}) |", anchor.replace(' ', "-"));
        assert!(contents.contains(&row), "the table of contents lacks {row}");
    }
}

/// Names of tests stand in tables and sentences too.
#[test]
fn whatever_looks_like_a_test_or_a_file_is_one() {
    let tests = test_functions(&sources());
    let prose: String = sections(&spec()).into_iter().map(|section| section.prose).collect();
    for name in quoted(&prose) {
        let lower = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if lower && name.matches('_').count() >= 3 {
            assert!(tests.contains(name), "{name} is no test");
        }
        if let Some(path) = name.strip_prefix("testdata/") {
            assert!(testdata().join(path).exists(), "{name} is not there");
        }
        let in_tree = ["protocol/", "server/", "client/", "tests/"];
        if in_tree.iter().any(|folder| name.starts_with(folder)) {
            assert!(root().join(name).exists(), "{name} is not there");
        }
    }
}

/// The parts of an example's line that must be in its vector: what stands before the comment, cut
/// where something is left out.
fn shown(line: &str) -> Vec<String> {
    let data = line.trim_start();
    if data.starts_with(['│', '└', '├']) {
        return Vec::new();
    }
    let data = data.split("  ").next().unwrap_or_default();
    let compact: String = data.split_whitespace().collect();
    compact.split('…').filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// What is wrong with an example of the vector whose file is `text`.
fn fault_of_example(lines: &[String], text: &str) -> Option<String> {
    let compact = |text: &str| text.split_whitespace().collect::<String>();
    let (_, body) = text.split_once("\n\n")?;
    let body = compact(body);
    let is_hex = body.bytes().all(|byte| byte.is_ascii_hexdigit());
    let whole = compact(text);
    let mut rest = if is_hex { body.as_str() } else { whole.as_str() };
    for part in lines.iter().flat_map(|line| shown(line)) {
        let Some(at) = rest.find(&part) else { return Some(part) };
        // Hex is shown in its order; texts may show a line of the vector's header too.
        if is_hex {
            rest = &rest[at + part.len()..];
        }
    }
    None
}

#[test]
fn examples_are_those_of_their_vectors() {
    let mut held = 0;
    for section in sections(&spec()) {
        for (vector, lines) in section.examples {
            let Some(vector) = vector else { continue };
            let text = fs::read(testdata().join(&vector)).unwrap_or_else(|error| {
                panic!("§{}: {vector}: {error}", section.number);
            });
            let fault = fault_of_example(&lines, &String::from_utf8_lossy(&text));
            assert_eq!(fault, None, "§{}: not in {vector}", section.number);
            held += 1;
        }
    }
    assert!(held >= 12, "only {held} examples were held against vectors");
}

#[test]
fn a_changed_example_is_noticed() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let vector = "format: x\nexpect: success\n\n8208a100\n02\n";
    assert_eq!(fault_of_example(&lines("82 08  remove\n   a1 … 02"), vector), None);
    assert_eq!(fault_of_example(&lines("82 09  remove"), vector), Some("8209".to_owned()));
    assert_eq!(fault_of_example(&lines("a1\n82"), vector), Some("82".to_owned()));
}

#[test]
fn no_vector_is_forgotten() {
    let sources = sources();
    let mut vectors = 0;
    for entry in fs::read_dir(testdata()).unwrap() {
        let folder = entry.unwrap();
        let format = folder.file_name().into_string().unwrap();
        if format == ".gitattributes" {
            continue;
        }
        let calls = [format!("for_each_vector(\"{format}\""), format!("testdata/{format}\"")];
        let reads = |(path, source): &(&String, &String)| {
            path.ends_with("tests.rs") && calls.iter().any(|call| source.contains(call))
        };
        assert!(sources.iter().any(|it| reads(&it)), "no test reads testdata/{format}");
        for vector in fs::read_dir(folder.path()).unwrap() {
            let path = vector.unwrap().path();
            assert!(path.is_file(), "{} is no file, and so read by nobody", path.display());
            vectors += 1;
        }
    }
    assert!(vectors > 400, "only {vectors} vectors");
}

#[test]
fn the_codes_of_the_spec_are_those_of_the_code() {
    let spec = spec();
    let row = |line: &str| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        Some((cells.next()?.parse::<u16>().ok()?, cells.next()?.to_owned()))
    };
    let frames = sections(&spec).into_iter().find(|section| section.title.starts_with("Frames"));
    let prose = frames.unwrap().prose;
    let (_, table) = prose.split_once("| code | name |").unwrap();
    let told: Vec<_> = table.lines().filter_map(row).collect();
    let known = Code::ALL.iter().map(|code| (code.number(), code.name().to_owned()));
    assert_eq!(told, known.collect::<Vec<_>>());
}

/// Sums and products of numbers and of constants that stand above.
fn value(expression: &str, known: &BTreeMap<String, u64>) -> Option<u64> {
    let factor = |text: &str| {
        let text = text.trim();
        text.replace('_', "").parse().ok().or_else(|| known.get(text).copied())
    };
    let product = |text: &str| text.split('*').map(factor).product::<Option<u64>>();
    expression.split('+').map(product).sum()
}

#[test]
fn the_limits_of_the_spec_are_those_of_the_code() {
    let source = fs::read_to_string(root().join("protocol/src/limits.rs")).unwrap();
    let mut known = BTreeMap::new();
    for constant in source.split("\npub const ").skip(1) {
        let (name, rest) = constant.split_once(':').unwrap();
        let expression = rest.split_once('=').unwrap().1.split(';').next().unwrap();
        let value = value(expression, &known).unwrap_or_else(|| panic!("{name} = {expression}"));
        known.insert(name.to_owned(), value);
    }
    let section = sections(&spec()).into_iter().find(|section| section.title == "Limits").unwrap();
    let row = |line: &str| {
        let name = quoted(line).next()?.to_owned();
        let value = line.split('|').nth(2)?.trim().replace(',', "").parse().ok()?;
        Some((name, value))
    };
    let told: BTreeMap<String, u64> = section.prose.lines().filter_map(row).collect();
    assert_eq!(told, known);
}

/// Sources point into the text by section; a section that moved would leave them pointing nowhere.
#[test]
fn sources_point_to_sections_that_are_there() {
    let sections = sections(&spec());
    let mut references = 0;
    for (path, source) in sources() {
        // This file speaks of references and makes none.
        if path.ends_with("it/spec.rs") {
            continue;
        }
        assert!(!source.contains("spec/"), "{path} points to a file of the old text");
        for reference in source.split("SPEC.md").skip(1) {
            let Some(number) = reference.strip_prefix(" §") else { continue };
            let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
            let number: usize = digits.parse().unwrap();
            assert!((1..=sections.len()).contains(&number), "{path}: §{number}");
            references += 1;
        }
    }
    assert!(references >= 15, "only {references} references");
}
