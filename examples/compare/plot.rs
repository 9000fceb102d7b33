//! Pictures of what was measured, in SVG: lines over two axes that count in powers of ten.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use znode_examples::Error;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
/// What the axes leave free: left, right, above and below.
const LEFT: f64 = 70.0;
const RIGHT: f64 = 210.0;
const ABOVE: f64 = 40.0;
const BELOW: f64 = 50.0;
/// Told apart also by those who see fewer colours; ours comes first.
const COLOURS: [&str; 10] = [
    "#d55e00", "#e69f00", "#cc79a7", "#0072b2", "#56b4e9", "#009e73", "#7f7f7f", "#000000",
    "#b8a000", "#8b4513",
];

/// A picture.
pub(crate) struct Plot {
    pub(crate) title: &'static str,
    pub(crate) across: &'static str,
    pub(crate) up: &'static str,
    /// What is written below some places of the axis, instead of powers of ten.
    pub(crate) marks: Vec<(f64, String)>,
    pub(crate) lines: Vec<Curve>,
}

/// A line, by its points.
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// An axis: what it reaches from and to, as powers of ten, and where that is in the picture.
struct Axis {
    least: f64,
    most: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn of(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let logs: Vec<f64> = values.map(f64::log10).collect();
        let least = logs.iter().copied().fold(f64::INFINITY, f64::min);
        let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let most = if most - least < 0.1 { least + 0.1 } else { most };
        Self { least, most, from, to }
    }

    fn place(&self, value: f64) -> f64 {
        let share = (value.log10() - self.least) / (self.most - self.least);
        self.from + share * (self.to - self.from)
    }

    /// One, two and five times each power of ten in between.
    fn ticks(&self) -> Vec<f64> {
        let powers = (-3..10).map(|power| 10_f64.powi(power));
        let steps = if self.most - self.least > 3.0 { &[1.0][..] } else { &[1.0, 2.0, 5.0] };
        let all = powers.flat_map(|power| steps.iter().map(move |step| step * power));
        all.filter(|tick| (self.least..=self.most).contains(&tick.log10())).collect()
    }
}

impl Plot {
    /// Writes it down, if there is anything to see.
    pub(crate) fn write(&self, path: &Path) -> Result<bool, Error> {
        if self.lines.iter().all(|line| line.points.is_empty()) {
            return Ok(false);
        }
        fs::write(path, self.svg()?)?;
        Ok(true)
    }

    /// The lines, with their names beside.
    fn curves(&self, svg: &mut String, across: &Axis, up: &Axis) -> Result<(), Error> {
        let mut beside = ABOVE + 12.0;
        let shown = self.lines.iter().filter(|line| !line.points.is_empty());
        for (line, colour) in shown.zip(COLOURS.iter().cycle()) {
            let places: Vec<_> =
                line.points.iter().map(|(x, y)| (across.place(*x), up.place(*y))).collect();
            let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
            writeln!(
                svg,
                "<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                path.join("L")
            )?;
            for (x, y) in places {
                writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>")?;
            }
            let (x, y) = (WIDTH - RIGHT + 14.0, beside);
            beside += 18.0;
            writeln!(
                svg,
                "<path d=\"M{x} {:.1}h16\" stroke=\"{colour}\" stroke-width=\"3\"/>\
                 <text x=\"{:.1}\" y=\"{y:.1}\">{}</text>",
                y - 4.0,
                x + 22.0,
                line.name
            )?;
        }
        Ok(())
    }

    fn svg(&self) -> Result<String, Error> {
        let points = || self.lines.iter().flat_map(|line| line.points.iter().copied());
        let across = Axis::of(points().map(|point| point.0), LEFT, WIDTH - RIGHT);
        let up = Axis::of(points().map(|point| point.1), HEIGHT - BELOW, ABOVE);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
             <text x=\"{LEFT}\" y=\"22\" font-size=\"15\">{}</text>\n",
            self.title
        );
        for tick in up.ticks() {
            let y = up.place(tick);
            writeln!(
                svg,
                "<path d=\"M{LEFT} {y:.1}H{:.1}\" stroke=\"#ddd\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                y + 4.0,
                short(tick)
            )?;
        }
        let marks = if self.marks.is_empty() {
            across.ticks().into_iter().map(|tick| (tick, short(tick))).collect()
        } else {
            self.marks.clone()
        };
        for (at, mark) in marks {
            let x = across.place(at);
            writeln!(
                svg,
                "<path d=\"M{x:.1} {ABOVE}V{:.1}\" stroke=\"#ddd\"/>\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{mark}</text>",
                HEIGHT - BELOW,
                HEIGHT - BELOW + 18.0
            )?;
        }
        writeln!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n\
             <text transform=\"translate(16 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 10.0,
            self.across,
            (ABOVE + HEIGHT - BELOW) / 2.0,
            self.up
        )?;
        self.curves(&mut svg, &across, &up)?;
        svg.push_str("</svg>\n");
        Ok(svg)
    }
}

/// With as few digits as there are.
fn short(value: f64) -> String {
    match value {
        1e6.. => format!("{} M", value / 1e6),
        1e3.. => format!("{}k", value / 1e3),
        _ => value.to_string(),
    }
}
