//! An answer of `external.metrics.k8s.io`: one selector over 20,000 streams.

use std::time::Instant;

use criterion::Criterion;
use streamgauge::{
    catalogue,
    model::{
        offer::{Offer, Target},
        selector::Selector,
    },
    serve::{
        kubernetes::answers,
        scaling::{self, Question},
    },
};

use crate::{Polled, Result};

pub fn bench(criterion: &mut Criterion, polled: &Polled) -> Result<()> {
    let name = "redis_stream_group_backlog";
    let metric = catalogue::for_autoscalers(name).ok_or("autoscalers may not read the backlog")?;
    let (any, offer) = (Target::default(), Offer::default());
    for (what, selector) in
        [("one group", "stream=orders:012345,group=processing"), ("one group of each", "group=audit")]
    {
        let selector = Selector::parse(selector)?;
        criterion.bench_function(&format!("adapter: {what} of 20,000 streams"), |bencher| {
            bencher.iter(|| {
                let question = Question {
                    snapshot: &polled.snapshot,
                    now: Instant::now(),
                    metric,
                    name,
                    targets: &[&any],
                    selector: &selector,
                    policy: None,
                    offer: &offer,
                    namespace: "shop",
                };
                let items = scaling::items(&question).map_err(|_| ())?;
                serde_json::to_string(&answers::external(name, &items)).map_err(|_| ())
            });
        });
    }
    Ok(())
}
