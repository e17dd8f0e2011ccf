//! Curves as SVG, on logarithmic axes: what doubles with what is a straight line, and what does not is seen at once.

use std::path::Path;

use anyhow::{Context, Result};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 420.0;
/// What is left for titles and numbers: left, top, right, bottom.
const MARGINS: [f64; 4] = [70.0, 40.0, 170.0, 50.0];
/// They differ for colour-blind people too (Okabe and Ito).
const COLOURS: [&str; 5] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00"];

/// Some curves.
#[derive(Clone, Debug)]
pub struct Plot {
    /// The name of its file, without `.svg`.
    pub name: &'static str,
    pub title: &'static str,
    /// What the axes are.
    pub axes: [&'static str; 2],
    pub curves: Vec<Curve>,
}

/// A curve.
#[derive(Clone, Debug)]
pub struct Curve {
    pub name: &'static str,
    /// Its points, which are greater than 0.
    pub points: Vec<(f64, f64)>,
}

/// A logarithmic axis: powers of ten, and where they lie.
struct Axis {
    decades: [i32; 2],
    pixels: [f64; 2],
}

impl Axis {
    fn over(values: impl Iterator<Item = f64> + Clone, pixels: [f64; 2]) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min).max(1e-9).log10().floor() as i32;
        let high = values.fold(0.0, f64::max).max(1e-9).log10().ceil() as i32;
        Self { decades: [low, high.max(low + 1)], pixels }
    }

    fn at(&self, value: f64) -> f64 {
        let [low, high] = self.decades.map(f64::from);
        let share = (value.log10() - low) / (high - low);
        self.pixels[0] + share * (self.pixels[1] - self.pixels[0])
    }

    fn marks(&self) -> impl Iterator<Item = (f64, String)> + '_ {
        (self.decades[0]..=self.decades[1]).map(|decade| {
            let value = 10_f64.powi(decade);
            (self.at(value), value.to_string())
        })
    }
}

impl Plot {
    /// Writes it into a directory, which is made if there is none.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let path = dir.join(format!("{}.svg", self.name));
        std::fs::create_dir_all(dir)
            .and_then(|()| std::fs::write(&path, self.svg()))
            .with_context(|| format!("write {path:?}"))
    }

    fn svg(&self) -> String {
        let [left, top, right, bottom] = MARGINS;
        let (right, bottom) = (WIDTH - right, HEIGHT - bottom);
        let points = || self.curves.iter().flat_map(|curve| &curve.points);
        let x = Axis::over(points().map(|point| point.0), [left, right]);
        let y = Axis::over(points().map(|point| point.1), [bottom, top]);
        let mut lines = Vec::new();
        let mut line = |text: String| lines.push(text);
        line(format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">"#
        ));
        line(r#"<rect width="100%" height="100%" fill="white"/>"#.to_owned());
        line(format!(r#"<text x="{left}" y="24" font-size="16">{}</text>"#, self.title));
        for (at, value) in x.marks() {
            line(format!(r##"<path d="M{at:.1} {top}V{bottom}" stroke="#ddd"/>"##));
            line(format!(r#"<text x="{at:.1}" y="{:.1}" text-anchor="middle">{value}</text>"#, bottom + 18.0));
        }
        for (at, value) in y.marks() {
            line(format!(r##"<path d="M{left} {at:.1}H{right}" stroke="#ddd"/>"##));
            line(format!(r#"<text x="{:.1}" y="{:.1}" text-anchor="end">{value}</text>"#, left - 8.0, at + 4.0));
        }
        let (middle, centre) = ((left + right) / 2.0, (top + bottom) / 2.0);
        line(format!(r#"<text x="{middle}" y="{:.1}" text-anchor="middle">{}</text>"#, bottom + 40.0, self.axes[0]));
        line(format!(
            r#"<text transform="translate(18 {centre}) rotate(-90)" text-anchor="middle">{}</text>"#,
            self.axes[1]
        ));
        for (number, (curve, colour)) in self.curves.iter().zip(COLOURS.iter().cycle()).enumerate() {
            let points = curve.points.iter().map(|point| (x.at(point.0), y.at(point.1)));
            let path: Vec<_> = points.clone().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            line(format!(r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="2"/>"#, path.join(" ")));
            points.for_each(|(x, y)| line(format!(r#"<circle cx="{x:.1}" cy="{y:.1}" r="3.5" fill="{colour}"/>"#)));
            let at = top + 20.0 * (number as f64 + 0.5);
            line(format!(r#"<text x="{:.1}" y="{at:.1}" fill="{colour}">{}</text>"#, right + 12.0, curve.name));
        }
        line("</svg>\n".to_owned());
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_factors_are_equal_distances() {
        let axis = Axis::over([3.0, 700.0].into_iter(), [0.0, 300.0]);
        assert_eq!([1.0, 10.0, 100.0, 1000.0].map(|value| axis.at(value)), [0.0, 100.0, 200.0, 300.0]);
    }

    #[test]
    fn every_point_and_every_name_is_drawn() {
        let curve = |name| Curve { name, points: vec![(10.0, 1.0), (100.0, 2.0)] };
        let plot = Plot { name: "p", title: "t", axes: ["x", "y"], curves: vec![curve("one"), curve("two")] };
        let svg = plot.svg();
        assert_eq!(svg.matches("<circle").count(), 4);
        assert!(svg.contains(">one</text>") && svg.contains(">two</text>") && svg.ends_with("</svg>\n"));
    }
}
