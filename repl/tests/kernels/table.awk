# Makes a table of what machines printed, a file a machine; `init.rs` says how. What failed is told below it.

function fail(reason) {
    bad = bad "\n" (kernel ? kernel : FILENAME) ": " reason
}

function finish() {
    if (source != expected_source) fail("rows come from `" source "`, not from `" expected_source "`")
    if (expected_source != "proc" && figures == "") fail("no figure was verified")
    if (!done) fail("the machine died in `" step "`: " dead)
    printf "%-28s %-8s %6s %8s %8s %9s %8s %7s\n", kernel, source, caches, columns, figures, workloads, programs, seconds
}

BEGIN {
    printf "%-28s %-8s %6s %8s %8s %9s %8s %7s\n", "kernel", "source", "caches", "columns", "figures", "workloads", "programs", "seconds"
}

FNR == 1 {
    kernel = source = caches = columns = figures = workloads = step = dead = ""
    programs = done = wrong = 0
}

/^##boot / { kernel = $2 }
/^##begin / { step = $2; text = "" }
/^##dead / { dead = substr($0, 8); next }
/^##done$/ { done = 1 }
/^##machine / { expected_source = $3; seconds = $4; finish() }

/^##end / {
    if ($4 != 0) fail("`" step "` ended with " $4 ":\n" text)
    # Every other source begins with its label.
    if (step == "caches" && source == "") source = "live"
    step = ""
}

!/^##/ && step {
    text = text "    " $0 "\n"
}

step == "caches" && /^[0-9]+$/ { caches = $0 }
step == "caches" && /^source [a-z]+/ { source = $2; sub(":", "", source) }
step == "columns" && /^[0-9]+,[0-9]+$/ { sub(",", "/"); columns = $0 }
# column,witness,rows,equal,moved,wrong
step == "figures" && split($0, field, ",") == 6 && field[3] ~ /^[0-9]+$/ { figures += field[4] }
step == "workloads" && /^\| [0-9]+ .* \|/ { workloads++ }
step == "programs" && match($0, /programs: [0-9]+/) { programs += substr($0, RSTART + 10, RLENGTH - 10) }

END {
    if (bad) {
        print "\nfailed:" bad
        exit 1
    }
}
