/// The texts of --help.
enum Help {
    static func text(for command: Command?) -> String {
        switch command {
        case nil: overview
        case .trace: trace
        case .check: check
        case .top: top
        }
    }

    static let overview = """
        porttrace: which pod is out of ephemeral ports, NAT ports or conntrack entries, and towards where

        usage: porttrace [trace] [options]    stream failures as they happen
               porttrace check [options]      look for a moment, say what is wrong, who is to blame and what ends it
               porttrace top [options]        the resources nearest to their limit, and who holds them, live
               porttrace --version | --help
               porttrace trace --help         all options and what an event means

        It attaches to the kernel's own failure paths, changes nothing and stops with Ctrl-C. Run it as root.

        \(options)
        """

    static let trace = """
        porttrace trace: stream failures to get a port or a conntrack entry, as they happen

        usage: porttrace [trace] [options]

        \(options)

        events (NDJSON: one object a line, "type" and "cause"):
          connect_exhausted  connect() found no free source port: EADDRNOTAVAIL
          connect_conflict   connect() from a bound port whose 4-tuple is taken: EADDRNOTAVAIL
          bind_exhausted     bind to port 0, listen() or UDP autobind found no free port: EADDRINUSE, EAGAIN
          time_wait_overflow a TIME_WAIT socket could not be made: tcp_max_tw_buckets is reached, or no memory
          conntrack_table_full     a packet was dropped: nf_conntrack_max is reached
          conntrack_evicted        an entry was evicted to make room
          snat_exhausted           no free source port for a NAT mapping; the packet was dropped
          conntrack_insert_failed  race, chain_too_long, dying or no_memory; the packet was dropped
          pressure           a resource crossed 80 % or 95 % of its limit, up or down: how full, until when, who holds it
          tcp_state          with --states: a TCP socket's change of state
          lost               samples not delivered, or runs that the kernel skipped
          summary            last line of a run: totals, whether they are exact, what saw them

        The first failure of a kind, owner and destination shows at once, the others of an interval as one line with
        their count. The counts of a type add up to exactly the number of failures.

        pressure: ports towards one destination, ports for bind(), conntrack tables, NAT ports, TIME_WAIT sockets. One line a
        crossing, "down" 5 points below; detail.eta_s is the time until the limit while it rises. A filter for owners lets
        those through that one of their holders matches, or whose network namespace is the pod's; --dest the destination.
        Of an open socket the process is not known (--pid, --comm), of a conntrack entry no more than the pod.

        signals: SIGINT, SIGTERM stop cleanly, SIGUSR1 flushes now, SIGHUP reads --names again, without it stops.
        exit status: 0 fine, 1 could not do its work, 2 bad usage.

        """

    static let check = """
        porttrace check: watch for a moment, look at what holds ports and conntrack entries, and say what is wrong

        usage: porttrace check [options]

        options:
          -o, --output FORMAT     text (default) or json
          -d, --duration TIME     how long to watch (default 5s): a whole number and ms, s, m or h
        \(commonOptions)

        It watches for --duration and prints a verdict: as text, or with -o json as one document
          {"schema":1,"timestamp":…,"node":…,"status":…,"findings":[{"problem","severity","resource","culprits","victims",
          "evidence","fixes":[{"when","why","command","persist","risk"}]}],"not_visible":[…]}
        problems: port_exhaustion, bind_exhaustion, tuple_conflict, snat_exhaustion, conntrack_full,
        conntrack_insert_failed, time_wait_overflow. It changes nothing: the commands are for you to paste.

        With a filter only resources count that those asked for hold a part of, or were refused, and HEALTHY speaks of them
        alone; all holders of such a resource are told.
        exit status: 0 healthy, 10 warning (80 %, or full within 10 minutes), 20 failing now, 1 not checked, 2 bad usage.

        """

    static let top = """
        porttrace top: a live table of ports, conntrack entries and NAT ports: how near to the limit, how fast, who holds them

        usage: porttrace top [options]

        options:
          -o, --output FORMAT     text (default) or ndjson
          -d, --duration TIME     stop after this time: a whole number and ms, s, m or h
        \(commonOptions)

        On a terminal, with TERM set; a new picture each --interval. Keys: arrows move, Enter shows one resource's holders,
        destinations and last failures, s sorts, p pauses, / filters, ? explains, q quits. NO_COLOR is respected.
        With -o ndjson one line each interval, without a terminal:
          {"schema":1,"timestamp":…,"node":…,"type":"snapshot","rows":[{"resource":{"kind","netns_id","proto","src","dst",
          "used","limit"},"rate_per_s","failures_per_s","eta_s","holders"}]}

        A filter lets those resources through that one of their holders matches, and those whose failures pass. Of an open
        socket the process is not known (--pid, --comm), of a conntrack entry no more than the pod.
        exit status: 0 fine, 1 could not do its work, 2 bad usage, which a missing terminal is too.

        """

    private static let options = """
        options:
          -o, --output FORMAT     text (default) or ndjson
          -d, --duration TIME     stop after this time: a whole number and ms, s, m or h
              --each              a line for every failure, no coalescing
              --states            TCP's changes of state too, TIME_WAIT included
        \(commonOptions)
        """

    private static let commonOptions = """
              --interval TIME     flush counts this often (default 1s)
          -n, --namespace NS      only that Kubernetes namespace
              --pod NAME          only that pod: NAME or NAMESPACE/NAME; a `*` at the end matches any rest
              --container NAME    only containers of that name
              --cgroup PATH       only that cgroup and all under it, with or without the mount's prefix
              --pid PID           only that process id, as the host sees it
              --comm NAME         only processes of that name, exactly
              --dest ADDR[/LEN][:PORT]
                                  only these destinations; [ADDR]:PORT for IPv6; :PORT for a port alone
              --kind TYPE         only these event types
              --host-root DIR     where the host's filesystem is seen from here (default /)
              --names FILE        names of addresses, JSON objects: {address or cidr, namespace, pod or service, port}
              --node NAME         the node's name in events (default: the host name)
              --probe-mode MODE   the most to use: auto (default), fentry, kprobe or tracepoint
              --btf FILE          the kernel's types (BTF), for a kernel without its own
              --verbose           say more on standard error
          -h, --help              this text; with `trace`, the events too
              --version
        Filters take comma lists (any of them); different options must all match.
        """
}
