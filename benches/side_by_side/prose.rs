//! What docs/benchmarks.md says of how it is measured. A test holds the document against it.

/// All streams with their groups and consumers, and of all else as little as it lets one choose.
pub const FLAGS: [&str; 6] = [
    "-check-streams=*",
    "-config-command=-",
    "-exclude-latency-histogram-metrics",
    "-redis-only-metrics",
    "-set-client-name=false",
    "-check-search-indexes=",
];

/// All streams and consumers, and any pause between two polls.
pub const GAUGE_FLAGS: [(&str, &str); 3] = [
    ("--poll.stale-after", "1000"),
    ("--limits.streams", "1000000"),
    ("--limits.consumers-per-group", "10000"),
];

const HOW: &str = "`make bench` repeats all of this on a machine with Debian, in some fourteen minutes after what it builds, and writes this file;
leave the machine alone meanwhile. `make bench ARGS='--only 2000'` measures one workload and writes nothing.

- **Who takes part**: *streamgauge*, the program of its image (`scripts/static-binary`: `cargo build` makes one with another C
  library and another allocator), with its defaults but for an interval longer than its turns and
  GAUGE. *redis_exporter*, the newest that a Debian release offers, with
  FLAGS:
  all streams with groups and consumers, and of all else as little as it lets one choose. It asks Redis when it is scraped, so
  its scrape is its poll, and its time is that of the scrape as a client sees it; streamgauge's is its own metric,
  `streamgauge_poll_duration_seconds`, which ends with the last reply: what follows from it is in its CPU. The *floor* is `redis-cli --pipe`, fed with the commands that streamgauge sent in a
  poll before, but for `CLIENT CACHING`, from its start to its end. It has one buffer for all and looks at each reply:
  streamgauge can be faster.
- **What it does not tell**: cost by the second. streamgauge polls every 5 s by default, whether it is scraped or not, and
  redis_exporter asks as often as it is scraped.
- **CPUs**: where polls are compared, Redis has one of its own, and all others share the rest, the proxy as well: as if Redis
  were on another machine. In *Redis on the same CPUs as all others*, in growth and under load nothing is kept apart. There
  some kernels have streamgauge and Redis take turns on one CPU while another one is idle, and a poll takes what both of them work;
  redis_exporter and Redis take turns anyway, by what they say to each other.
- **Turns**: all measure the same streams on the same Redis, one after the other and again. streamgauge is stopped (SIGSTOP)
  but for its turns. The first turn of each is not counted. Before each turn every stream gets an entry, and in every other
  stream both groups read it: half of the groups have a lag, and nothing is ever as it was at the poll before.
- **Streams** have two groups of five consumers, unless their title says otherwise, each with two pending entries, and
  payloads of 100 B. With those of 100 kB, ten polls come before: of such entries, the oldest that wait, whose ages are told,
  are read a few in each poll.
- **CPU** is what the scheduler counts of all threads, user and system, until they are quiet again. Redis's is without what
  it uses while nothing is asked of it. **Commands executed** are those of `INFO commandstats`; *commands* are without `EXEC`. Redis's event loop is blocked for one **cycle** at a time: *most commands in a cycle* is
  `eventloop_cmd_per_cycle_max` of `INFO debug`, and *Redis's CPU for so many* is that times the CPU of the poll by its
  commands, reading and writing included. The *longest cycle by the clock* is `eventloop_duration_max`: it also has the time
  for which the machine did something else, which redis_exporter shows, with one command in a cycle. Before each turn they are
  reset, which is a cycle of some 0.1 ms; not where nothing is new, since a reset has streamgauge read anew what it knows of
  streams with large entries.
- **Round trips** come from a proxy that hands each piece on half the time after it came, in either direction, and holds
  nothing back that comes after it. Who takes part goes through it, PING as well.
- **Scrapes**: the first of a snapshot finds its text written ahead, since the snapshot before was scraped, too, and there is
  one server. Where Prometheus scrapes more seldom than streamgauge polls, it is written when it is asked for: then the first
  takes about as long as *identity, first* and its compression. *Resident memory* is that with scrapes as Prometheus does them,
  with gzip; after one without it, the text is there as well. redis_exporter is scraped without, which costs it no compression.
- **Samples** are fewer where ages of entries are not known yet: with many streams or large entries it takes some polls to read
  them within the budget.
- **Growth**: the speed of a machine changes within minutes. So 2,000 and 20,000 streams on two servers are polled in turns,
  each poll of the many between two of the few.
- **Figures** are the median of as many turns as are told, and the least and the most in brackets; one without brackets is of one
  turn, and memory is that of the last. While polls go on, an answer that is an error counts as
  one that never comes, and one to an HPA is timed from when its request was due, whether or not those before were answered. Scrapes beside these
  ask for gzip, as Prometheus does.
";

/// How it is measured.
pub fn how() -> String {
    let flags = GAUGE_FLAGS.map(|(flag, value)| format!("`{flag} {value}`")).join(", ");
    HOW.replace("FLAGS", &FLAGS.map(|flag| format!("`{flag}`")).join(" ")).replace("GAUGE", &flags)
}
