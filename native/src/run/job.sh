#!/bin/bash
@DIRECTIVES@

# Begins the run or resumes it. Before the time limit Slurm sends SIGUSR1 to this script, which passes it on to the ranks:
# they save the run and end with exit code 130. The job then queues again under the same number. A job that is preempted
# receives SIGTERM, saves as well, and is queued again by Slurm where the partition is set to do so.
run=@RUN@
if [ -e "$run/config.toml" ]; then
    command=(resume "$run")
else
    command=(@BEGIN@)
fi

@LAUNCH@ \
    @PROGRAM@ "${command[@]}"@OPTIONS@ --progress plain &
ranks=$!
again=
trap 'again=yes; kill -USR1 "$ranks"' USR1

# A wait ends when the signal arrives, and before the ranks do.
wait "$ranks"
code=$?
while kill -0 "$ranks" 2>/dev/null; do
    wait "$ranks"
    code=$?
done
if [ -n "$again" ] && [ "$code" = 130 ]; then
    scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
