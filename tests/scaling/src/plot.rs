//! Plots of a scenario, as SVG.

use std::path::Path;

use anyhow::{Result, anyhow};
use plotters::{coord::Shift, prelude::*};

use crate::{
    drive::Contender,
    record::Sample,
    scenario::{Fault, Scenario},
};

const SIZE: (u32, u32) = (960, 720);
const DEMAND: RGBColor = RGBColor(30, 30, 30);
const OPERATOR: RGBColor = RGBColor(0, 110, 180);
const HPA: RGBColor = RGBColor(210, 95, 0);
const BUDGET: RGBColor = RGBColor(0, 140, 70);
/// Every other second is drawn: twice as many points could not be told apart.
const EVERY: usize = 2;

/// The seconds of both contenders.
pub(crate) type Both<'a> = [(Contender, &'a [Sample]); 2];

/// Draws people and places above, reconnects against the budget below.
///
/// # Errors
/// The file cannot be written.
pub(crate) fn draw(folder: &Path, scenario: Scenario, both: &Both<'_>) -> Result<()> {
    let path = folder.join(format!("{}.svg", scenario.name()));
    let root = SVGBackend::new(&path, SIZE).into_drawing_area();
    drawn(&root, scenario, both).map_err(|error| anyhow!("failed to draw {}: {error}", path.display()))
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn std::error::Error>>;

fn drawn(root: &Area<'_>, scenario: Scenario, both: &Both<'_>) -> Drawn {
    root.fill(&WHITE)?;
    let (above, below) = root.split_vertically(400);
    people(&above, scenario, both)?;
    reconnects(&below, both)?;
    root.present()?;
    Ok(())
}

fn measured(samples: &[Sample]) -> impl Iterator<Item = &Sample> {
    samples.iter().filter(|sample| sample.second >= 0).step_by(EVERY)
}

fn last_second(both: &Both<'_>) -> i32 {
    both.iter().filter_map(|(_, samples)| samples.last()).map(|sample| sample.second).max().unwrap_or(1)
}

fn colour(contender: Contender) -> RGBColor {
    match contender {
        Contender::Operator => OPERATOR,
        Contender::Hpa => HPA,
    }
}

fn people(area: &Area<'_>, scenario: Scenario, both: &Both<'_>) -> Drawn {
    let seconds = || both.iter().flat_map(|(_, samples)| measured(samples));
    let most = seconds().map(|sample| sample.places.max(sample.demand)).max().unwrap_or(1);
    // Above the curves there is room for the legend.
    let mut chart = ChartBuilder::on(area)
        .caption(format!("{}: {}", scenario.name(), scenario.title()), ("sans-serif", 18))
        .margin(10)
        .x_label_area_size(20)
        .y_label_area_size(70)
        .build_cartesian_2d(0..last_second(both), 0..most + most / 2)?;
    chart.configure_mesh().light_line_style(TRANSPARENT).y_desc("people").draw()?;
    for (contender, samples) in both {
        let colour = colour(*contender);
        let places = measured(samples).map(|sample| (sample.second, sample.places));
        chart
            .draw_series(LineSeries::new(places, colour.stroke_width(2)))?
            .label(format!("places, {}", contender.name()))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
        let connected = measured(samples).map(|sample| (sample.second, sample.connected));
        chart
            .draw_series(LineSeries::new(connected, colour.mix(0.5).stroke_width(1)))?
            .label(format!("connections, {}", contender.name()))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.mix(0.5).stroke_width(1)));
    }
    let demand = measured(both[0].1).map(|sample| (sample.second, sample.demand));
    chart
        .draw_series(LineSeries::new(demand, DEMAND.stroke_width(2)))?
        .label("people who want to be connected")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], DEMAND.stroke_width(2)));
    for (second, fault) in scenario.course(false).faults {
        let what = match fault {
            Fault::LoseHalf => "half is lost",
            Fault::Stall => "no answers",
            Fault::Answer => "answers",
            Fault::Skew(0) => "clocks are right",
            Fault::Skew(_) => "clocks are off",
            Fault::Least(_) => "more gateways are wanted",
        };
        let at = i32::try_from(second).unwrap_or(i32::MAX);
        chart.draw_series([Text::new(what, (at, most / 20), ("sans-serif", 14))])?;
    }
    legend(&mut chart)
}

fn reconnects(area: &Area<'_>, both: &Both<'_>) -> Drawn {
    let seconds = || both.iter().flat_map(|(_, samples)| measured(samples));
    let most = seconds().map(|sample| sample.reconnects).max().unwrap_or(1).max(1_000);
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .x_label_area_size(35)
        .y_label_area_size(70)
        .build_cartesian_2d(0..last_second(both), (1.0..most as f64 * 30.0).log_scale())?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .x_desc("seconds")
        .y_desc("reconnects/s")
        .y_label_formatter(&|value| format!("{value:.0}"))
        .draw()?;
    for (contender, samples) in both.iter().rev() {
        let colour = colour(*contender);
        // Of none a logarithmic axis knows nothing.
        let bars = measured_most(samples).into_iter().filter(|(_, count)| *count > 0).map(|(second, count)| {
            PathElement::new([(second, 1.0), (second, count as f64)], colour.mix(0.7).stroke_width(2))
        });
        chart
            .draw_series(bars)?
            .label(format!("reconnects, {}", contender.name()))
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(2)));
    }
    let budget = measured(both[0].1).map(|sample| (sample.second, sample.budget));
    chart
        .draw_series(LineSeries::new(budget, BUDGET.stroke_width(2)))?
        .label("the operator's budget")
        .legend(|(x, y)| PathElement::new([(x, y), (x + 20, y)], BUDGET.stroke_width(2)));
    legend(&mut chart)
}

/// Of the seconds that share a place the one with most reconnects.
fn measured_most(samples: &[Sample]) -> Vec<(i32, u64)> {
    let measured: Vec<&Sample> = samples.iter().filter(|sample| sample.second >= 0).collect();
    let most = |pair: &[&Sample]| pair.iter().map(|sample| sample.reconnects).max().unwrap_or_default();
    measured.chunks(EVERY).filter_map(|pair| Some((pair.first()?.second, most(pair)))).collect()
}

fn legend<'a, 'b: 'a, X: Ranged<ValueType = i32>, Y: Ranged>(
    chart: &mut ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, Y>>,
) -> Drawn {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperRight)
        .background_style(WHITE.mix(0.8))
        .border_style(TRANSPARENT)
        .label_font(("sans-serif", 13))
        .draw()?;
    Ok(())
}
