//! The table.

/// One line of it, in records a second. What was not measured is none.
pub(crate) struct Row {
    pub(crate) work: &'static str,
    pub(crate) peer: String,
    pub(crate) theirs: Option<f64>,
    pub(crate) us: Option<f64>,
    pub(crate) ratio: Option<f64>,
    pub(crate) goal: &'static str,
}

/// The middle one; of an even number, the lower middle.
pub(crate) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len().checked_sub(1)? / 2).copied()
}

/// Prints it to stdout.
pub(crate) fn print(rows: &[Row]) {
    let rate = |figure: Option<f64>| match figure {
        Some(figure) => format!("{figure:.0}/s"),
        None => "not measured".to_owned(),
    };
    let mut lines =
        vec![["work", "peer or limit", "theirs", "us", "ratio", "goal"].map(str::to_owned)];
    lines.extend(rows.iter().map(|row| {
        let ratio = row.ratio.map_or_else(|| "not measured".to_owned(), |r| format!("{r:.2}"));
        let (work, goal) = (row.work.to_owned(), row.goal.to_owned());
        [work, row.peer.clone(), rate(row.theirs), rate(row.us), ratio, goal]
    }));
    print_lines(&lines);
}

/// Prints lines of cells, the columns below each other.
pub(crate) fn print_lines<const COLUMNS: usize>(lines: &[[String; COLUMNS]]) {
    let widths: Vec<usize> = (0..COLUMNS)
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0))
        .collect();
    for line in lines {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        println!("{}", cells.collect::<Vec<_>>().join("  ").trim_end());
    }
}
