//! One metric of pods: that of the consumers which are named like them.

use std::collections::{BTreeMap, HashMap};

use super::{Question, Refusal, Value};
use crate::{
    catalogue::Combine,
    model::{name::Name, time::UnixMicros},
};

/// The value of each pod: that of the consumers which are named like it, in all groups that match. A pod without one has
/// 0 of what adds up, and no age; but where there are consumers and none of them is one of `peers`, pods of the same sort,
/// they go by other names, and nothing is known of any pod. Where a limit shows only consumers that own entries, it is not
/// known by which names the others go.
///
/// # Errors
/// See [`Refusal`].
pub fn pods<'p>(
    question: &Question<'_>,
    pods: &[&'p str],
    peers: &[String],
) -> Result<BTreeMap<&'p str, Value>, Refusal> {
    let mut measured_at = None;
    if question.selector.one_of("consumer").is_some() {
        let message = "a pod's consumer is the one that is named like it: leave consumer out of the selector";
        return Err(Refusal::Bad(message.to_owned()));
    }
    // A value of which a part is not known is an error here, and only for whoever asks for that pod.
    let mut of_name: HashMap<&[u8], Result<f64, Refusal>> = HashMap::new();
    let streams = question.streams()?;
    let mut limited = None;
    for found in &streams {
        for group in question.groups(found)? {
            limited = limited.or(group.cut.as_ref().map(|cut| found.unknown(group, &cut.fault.message)));
            let time = found.poll.measured_at();
            measured_at = Some(measured_at.map_or(time, |oldest: UnixMicros| oldest.min(time)));
            for consumer in question.consumers(found, group)? {
                let of_pod = of_name.entry(consumer.name.as_bytes()).or_insert(Ok(0.0));
                match (&of_pod, question.value_of(consumer, group)) {
                    (Ok(sum), Ok(value)) => *of_pod = Ok(question.metric.combine.of(*sum, value)),
                    (Ok(_), Err(why)) => *of_pod = Err(found.unknown(group, why)),
                    (Err(_), _) => {}
                }
            }
        }
    }
    let Some(measured_at) = measured_at else { return Err(question.nothing()) };
    if !of_name.is_empty() && !peers.iter().any(|pod| of_name.contains_key(pod.as_bytes())) {
        if let Some(limited) = limited {
            return Err(limited);
        }
        let example = of_name.keys().min().map(|name| Name::from(*name)).unwrap_or_else(|| Name::from(""));
        return Err(Refusal::NotFound(format!(
            "none of the consumers ({example:?}, say) is named like one of these pods: give each the name of its pod, as by \
             CONSUMER_NAME from metadata.name"
        )));
    }
    let mut values = BTreeMap::new();
    for pod in pods {
        let number = match of_name.get(pod.as_bytes()) {
            Some(value) => value.clone()?,
            None if question.metric.combine == Combine::Sum => 0.0,
            None => continue,
        };
        values.insert(*pod, Value { number, measured_at });
    }
    Ok(values)
}
