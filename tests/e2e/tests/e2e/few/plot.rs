//! A plot of what people felt while slots moved: their waits for an acknowledgement, second by second, and how long writes waited at hand-overs.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result, anyhow};
use plotters::{coord::Shift, prelude::*};

const SIZE: (u32, u32) = (960, 720);
const MIDDLE: RGBColor = RGBColor(0, 110, 180);
const SLOW: RGBColor = RGBColor(210, 95, 0);
const MARK: RGBColor = RGBColor(0, 140, 70);
/// Upper ends of the histogram's bars, in milliseconds; the last one is open.
const BARS: [u64; 9] = [5, 10, 20, 30, 50, 75, 100, 250, u64::MAX];

/// What is drawn.
pub(super) struct Felt<'a> {
    /// The sentence above it.
    pub(super) title: String,
    /// The second since the beginning in which a message was sent, and how long its acknowledgement took, in milliseconds.
    pub(super) waits: &'a [(u32, f64)],
    /// Seconds at which something was applied, and what.
    pub(super) marks: Vec<(u32, String)>,
    /// How long writes waited at each hand-over, in milliseconds.
    pub(super) pauses: Vec<u64>,
}

impl Felt<'_> {
    /// Draws it into the folder that failures leave their traces in; where.
    pub(super) fn draw(&self, name: &str) -> Result<PathBuf> {
        let folder = std::env::var_os("CHATCLUSTER_ARTIFACTS").map_or_else(std::env::temp_dir, PathBuf::from);
        fs::create_dir_all(&folder).with_context(|| format!("failed to make {}", folder.display()))?;
        let path = folder.join(format!("{name}.svg"));
        let root = SVGBackend::new(&path, SIZE).into_drawing_area();
        self.drawn(&root).map_err(|error| anyhow!("failed to draw {}: {error}", path.display()))?;
        drop(root);
        Ok(path)
    }

    fn drawn(&self, root: &Area<'_>) -> Drawn {
        root.fill(&WHITE)?;
        let (above, below) = root.split_vertically(420);
        self.seconds(&above)?;
        self.histogram(&below)?;
        root.present()?;
        Ok(())
    }

    fn seconds(&self, area: &Area<'_>) -> Drawn {
        let last = self.waits.iter().map(|(second, _)| *second).max().unwrap_or(1);
        let line = |share: f64| {
            let at = |second: u32| {
                let of = self.waits.iter().filter(|(at, _)| *at == second).map(|(_, wait)| *wait);
                quantile(of.collect(), share).map(|wait| (second, wait))
            };
            (0..=last).filter_map(at).collect::<Vec<_>>()
        };
        let (middle, slow) = (line(0.5), line(0.99));
        let most = slow.iter().map(|(_, wait)| *wait).fold(10.0, f64::max);
        let mut chart = ChartBuilder::on(area)
            .caption(&self.title, ("sans-serif", 18))
            .margin(10)
            .x_label_area_size(35)
            .y_label_area_size(70)
            .build_cartesian_2d(0..last, 0.0..most * 1.3)?;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .x_desc("seconds")
            .y_desc("send to acknowledgement, ms")
            .draw()?;
        for (points, colour, label) in [(middle, MIDDLE, "p50"), (slow, SLOW, "p99")] {
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
                .label(label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
        }
        for (nth, (second, what)) in self.marks.iter().enumerate() {
            // One begins where another ends.
            let height = most * if nth % 2 == 0 { 1.25 } else { 1.15 };
            chart.draw_series([PathElement::new([(*second, 0.0), (*second, height)], MARK)])?;
            chart.draw_series([Text::new(what.clone(), (*second, height), ("sans-serif", 14).into_font())])?;
        }
        let labels = &mut chart.configure_series_labels();
        labels.position(SeriesLabelPosition::UpperRight).background_style(WHITE).border_style(BLACK).draw()?;
        Ok(())
    }

    fn histogram(&self, area: &Area<'_>) -> Drawn {
        let mut counts = [0_u32; BARS.len()];
        for pause in &self.pauses {
            let bar = BARS.iter().position(|end| pause <= end).unwrap_or(BARS.len() - 1);
            counts[bar] += 1;
        }
        let most = counts.iter().copied().max().unwrap_or(1).max(1);
        let bars = BARS.len() as u32;
        let mut chart = ChartBuilder::on(area)
            .caption(format!("writes waited at {} hand-overs", self.pauses.len()), ("sans-serif", 18))
            .margin(10)
            .x_label_area_size(35)
            .y_label_area_size(70)
            .build_cartesian_2d((0..bars).into_segmented(), 0..most + most / 5 + 1)?;
        let label = |value: &SegmentValue<u32>| match value {
            SegmentValue::CenterOf(bar) => match BARS.get(*bar as usize) {
                Some(&u64::MAX) => "more".to_owned(),
                Some(end) => format!("<= {end} ms"),
                None => String::new(),
            },
            _ => String::new(),
        };
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .disable_x_mesh()
            .x_label_formatter(&label)
            .y_desc("hand-overs")
            .draw()?;
        let boxes = counts.iter().enumerate().map(|(bar, count)| {
            let bar = bar as u32;
            Rectangle::new([(SegmentValue::Exact(bar), 0), (SegmentValue::Exact(bar + 1), *count)], MIDDLE.filled())
        });
        chart.draw_series(boxes)?;
        Ok(())
    }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

/// None of nothing.
pub(super) fn quantile(mut values: Vec<f64>, share: f64) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let nth = (values.len().saturating_sub(1) as f64 * share).round() as usize;
    values.get(nth).copied()
}
