# Makes a table of what machines printed, a file a machine; `init.rs` says how. What failed is told below it.

function fail(reason) {
    bad = bad "\n" FILENAME " (" (kernel ? kernel : "never booted") "): " reason
    failed = 1
}

function line(machine, kernel, source, caches, columns, figures, workloads, programs, tests, seconds, result) {
    printf "%-13s %-27s %-6s %6s %7s %7s %9s %8s %5s %7s %s\n", machine, kernel, source, caches, columns, figures, workloads, programs, tests, seconds, result
}

function finish() {
    if (pending) fail(pending)
    if (!done) fail("the machine died" (step ? " in `" step "`" : "") ": " dead)
    else if (source != expected_source) fail("rows come from `" source "`, not from `" expected_source "`")
    # With KFENCE these steps are left out.
    else if (expected_source != "proc" && FILENAME != "kfence" && !(figures && workloads)) fail("a step told nothing")
    else if (FILENAME ~ /^[0-9.]+$/ && programs < queries) fail("fewer than " queries " programs were taken")
    sub(/-cloud-amd64$/, "", kernel)
    line(FILENAME, kernel, source, caches, columns, figures, workloads, programs, tests, seconds, failed ? "failed" : boots > 1 ? "ok at the second boot" : "ok")
    if (boots > 1) noted = noted "\n" FILENAME ": died at its first boot; " FILENAME ".died has what it printed"
}

BEGIN {
    line("machine", "kernel", "source", "caches", "columns", "figures", "workloads", "programs", "tests", "seconds", "")
}

FNR == 1 {
    kernel = source = caches = columns = figures = workloads = programs = step = dead = text = ""
    pending = ""
    tests = done = failed = 0
}

/^##boot / { kernel = $2 }
/^##begin / {
    if (pending) fail(pending)
    pending = text = ""
    step = $2
}
/^##dead / { dead = substr($0, 8) "\n" text; next }
/^##done$/ { done = 1 }
/^##machine / { expected_source = $3; seconds = $4; boots = $5; finish() }
/^(console|qemu): / { dead = dead "    " $0 "\n" }

/^##end / {
    if ($4 != 0) pending = "`" step "` ended with " $4 " " $5 ":\n" text
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
/^test result: ok\. [0-9]+ passed/ { tests += $4 }

END {
    if (noted) print "\nnoted:" noted
    if (bad) {
        print "\nfailed:" bad
        exit 1
    }
}
