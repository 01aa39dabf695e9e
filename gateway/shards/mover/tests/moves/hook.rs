//! An observer that dies or waits at a point.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use chat_shard_mover::{MoveError, Observer, Point, Step, Stop};
use tokio::{sync::Semaphore, task::JoinHandle};

/// Steps of a whole move, in their order.
pub(crate) const STEPS: [Step; 9] = [
    Step::Claim,
    Step::Prepare,
    Step::Copy,
    Step::Drain,
    Step::Compare,
    Step::Fence,
    Step::Settle,
    Step::Commit,
    Step::Activate,
];

/// Every point of a whole move.
pub(crate) fn points() -> Vec<Point> {
    let ends = STEPS.iter().flat_map(|step| [Point::Before(*step), Point::After(*step)]);
    ends.chain([Point::Chunk, Point::Applied]).collect()
}

/// Whether the point is before the hand-over.
pub(crate) fn is_before_hand_over(point: Point) -> bool {
    !matches!(point, Point::After(Step::Commit) | Point::Before(Step::Activate) | Point::After(Step::Activate))
}

#[derive(Clone)]
pub(crate) struct Hook(Arc<Inner>);

struct Inner {
    point: Option<Point>,
    /// Which time at the point.
    nth: usize,
    dies: bool,
    seen: AtomicUsize,
    reached: Semaphore,
    go: Semaphore,
}

impl Hook {
    fn new(point: Option<Point>, nth: usize, dies: bool) -> Self {
        Self(Arc::new(Inner {
            point,
            nth,
            dies,
            seen: AtomicUsize::new(0),
            reached: Semaphore::new(0),
            go: Semaphore::new(0),
        }))
    }

    /// Does nothing.
    pub(crate) fn none() -> Self {
        Self::new(None, 0, false)
    }

    /// The mover dies the first time that it is at the point.
    pub(crate) fn die(point: Point) -> Self {
        Self::new(Some(point), 0, true)
    }

    /// The mover waits at the point until it is let go.
    pub(crate) fn park(point: Point) -> Self {
        Self::new(Some(point), 0, false)
    }

    /// Waits until the mover is at the point; whether it comes there at all is the caller's to bound.
    pub(crate) async fn reached(&self) {
        self.0.reached.acquire().await.unwrap().forget();
    }

    /// As [`reached`](Self::reached), of a mover that runs as a task; one that ends before is a failure, and says why.
    pub(crate) async fn reached_by<T: std::fmt::Debug>(&self, moving: &mut JoinHandle<Result<T, MoveError>>) {
        if let Some(error) = self.reached_or_passing(moving).await {
            panic!("the mover ended before {:?}: {error:?}", self.0.point);
        }
    }

    /// As [`reached_by`](Self::reached_by), but an error that passes is none of the test's: it is returned.
    pub(crate) async fn reached_or_passing<T: std::fmt::Debug>(
        &self,
        moving: &mut JoinHandle<Result<T, MoveError>>,
    ) -> Option<MoveError> {
        tokio::select! {
            biased;
            () = self.reached() => None,
            ended = moving => match ended.unwrap() {
                Err(error) if error.is_transient() => Some(error),
                other => panic!("the mover ended before {:?}: {other:?}", self.0.point),
            },
        }
    }

    pub(crate) fn let_go(&self) {
        self.0.go.add_permits(1);
    }

    /// Whether the mover has been at the point.
    pub(crate) fn was_reached(&self) -> bool {
        self.0.seen.load(Ordering::SeqCst) > self.0.nth
    }
}

impl Observer for Hook {
    async fn at(&self, point: Point) -> Result<(), Stop> {
        let inner = &self.0;
        if inner.point != Some(point) || inner.seen.fetch_add(1, Ordering::SeqCst) != inner.nth {
            return Ok(());
        }
        inner.reached.add_permits(1);
        if inner.dies {
            return Err(Stop);
        }
        inner.go.acquire().await.unwrap().forget();
        Ok(())
    }
}
