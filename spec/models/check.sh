#!/usr/bin/env bash
# Runs the model checker Spin on mailbox.pml, its witnesses and its mutants.
set -euo pipefail
shopt -s extglob

usage() {
	cat <<'END'
usage: spec/models/check.sh [--messages N] [NAME...]

Checks spec/models/mailbox.pml with Spin (Debian: spin, gcc). One line for each run: what it is, states
explored, seconds, verdict. Without NAME everything is run; NAME is `model`, a mutant, a variant or a
witness, as --list prints them. Needs 1 GB of memory at most, and writes to a temporary directory only.

  --messages N   messages of the runs without errors, 4 to 5 (4 unless told)
  --list         prints the names of the runs
  --trail NAME   prints a short run to the error of a mutant, or to a witness
  --help         prints this

Exit status: 0 when every verdict is the expected one, or Spin is not installed; 1 otherwise, and when
Spin is not installed while CI is `true`.
END
}

# Right models: every run of theirs is right.
right=(model NO_STAMPS)
# Not mutants either, but here not every statement is reached: shows that this is noticed.
idle=(NO_PARKING)
# Mutants, and what the checker has to find: somebody waits for ever, or an assertion fails.
mutants=(
	NOTIFIER_NO_FENCE:stuck WAITER_NO_FENCE:stuck WAITER_NO_LOOK:stuck TICKET_LATE:stuck
	LOOK_AT_STAMP:stuck NO_WAKE:stuck TRUST_WAKE:assertion NO_DEATH_NOTICE:stuck
	STAMP_FIRST:assertion ANY_STAMP:assertion STAMP_ZERO:assertion
	PUBLISH_FIRST:assertion CLAIM_BLINDLY:assertion RELEASE_FIRST:assertion
	PARK_HOLDING:stuck DEATH_LAST:assertion
)

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
model=$here/mailbox.pml
mapfile -t witnesses < <(sed -n 's/^#define \(SEEN_[A-Z_]*\) .*/\1/p' "$model")
messages=4
trail=
only=()

names() { printf '%s\n' "${right[@]}" "${idle[@]}" "${witnesses[@]}" "${mutants[@]%:*}"; }

while (($# > 0)); do
	case $1 in
	--help) usage && exit ;;
	--list) names && exit ;;
	--messages) messages=${2:?"--messages needs a number"} && shift ;;
	--trail) trail=${2:?"--trail needs a name"} && shift ;;
	-*) usage >&2 && exit 1 ;;
	*) only+=("$1") ;;
	esac
	shift
done
[[ $messages == [45] ]] || { echo "check.sh: --messages is 4 or 5" >&2 && exit 1; }
for name in "${only[@]}" ${trail:+"$trail"}; do
	names | grep -qxF -e "$name" || { echo "check.sh: no run is called $name" >&2 && exit 1; }
done

for program in spin gcc; do
	command -v "$program" >/dev/null && continue
	if [[ ${CI:-} == true ]]; then
		echo "check.sh: $program is not on the PATH" >&2
		exit 1
	fi
	echo "skipped: $program is not on the PATH"
	exit 0
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# build N DEFINE...: makes ./pan.
#
# Exhaustive and exact: no hashing of states (COLLAPSE is a lossless compression) and no partial order
# reduction, which `unless` and loads of buffer lengths would have to be examined for. MEMLIM is in MB.
build() {
	local n=$1 && shift
	rm -f pan pan.* ./*.trail
	spin -a "-DN=$n" "$@" "$model" >spin.out 2>&1 || { cat spin.out >&2 && return 1; }
	gcc -O2 -w -DSAFETY -DCOLLAPSE -DNOREDUCE -DMEMLIM=1000 -o pan pan.c
}

# What `-D` makes the model a run of this name.
defines() {
	case $1 in
	model) echo -DRIGHT ;;
	SEEN_*) echo "-DWITNESS=$1" ;;
	*) echo "-D$1" ;;
	esac
}

if [[ -n $trail ]]; then
	build 4 "$(defines "$trail")"
	./pan -m20000 -i >pan.out 2>&1 || true
	spin -t -k mailbox.pml.trail -p -g -l -DN=4 "$(defines "$trail")" "$model"
	exit
fi

failed=0
line() { printf '%-18s %9s states %6s s  %s\n' "$@"; }

# Sets `states`, `seconds`, `errors`, `complaint` and `unreached` from what ./pan says.
run() {
	local since=$EPOCHREALTIME
	./pan -m100000 >pan.out 2>&1 || true
	seconds=$(awk -v a="$since" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }')
	states=$(awk '/states, stored/ { print $1 + 0 }' pan.out)
	errors=$(sed -n 's/.*errors: \([0-9]*\)$/\1/p' pan.out)
	states=${states:-0} errors=${errors:-none}
	complaint=$(sed -n 's/^pan:1: \(.*\) (at depth [0-9-]*)$/\1/p' pan.out)
	truncated=$(grep -cE 'max search depth too small|MEMLIM|out of memory|VECTORSZ' pan.out || true)
	# Statements that no run executed, but for those whose line says so.
	unreached=
	local at
	while read -r at; do
		sed -n "${at}p" "$model" | grep -q '/\* never \*/' || unreached+="${unreached:+ }$at"
	done < <(sed -n 's/^\t.*mailbox\.pml:\([0-9]*\), state .*/\1/p' pan.out | sort -nu)
}

# verdict NAME EXPECTED: one line; EXPECTED is right, idle, witness, stuck or assertion.
verdict() {
	local name=$1 expected=$2 n=4 verdict
	case $expected in right) n=$messages ;; esac
	build "$n" "$(defines "$name")"
	run
	case $errors:$complaint in
	0:*) verdict=right ;;
	1:"invalid end state") verdict=stuck ;;
	1:"assertion violated"*) verdict=assertion ;;
	*) verdict="unknown: $complaint" ;;
	esac
	if ((states < 2)); then
		verdict="explored nothing"
	elif ((truncated > 0)); then
		verdict=truncated
	elif [[ $verdict == right && ($expected == right || $expected == idle) && -n $unreached ]]; then
		verdict=unreached
	fi
	case $expected:$verdict in
	right:right) line "$name" "$states" "$seconds" "right, every statement reached" ;;
	idle:unreached) line "$name" "$states" "$seconds" "right, and unreached statements noticed" ;;
	witness:assertion) line "$name" "$states" "$seconds" "happens" ;;
	stuck:stuck) line "$name" "$states" "$seconds" "rejected: somebody waits for ever" ;;
	assertion:assertion) line "$name" "$states" "$seconds" "rejected: ${complaint/violated*( )/fails: }" ;;
	*)
		line "$name" "$states" "$seconds" "FAILED: expected $expected, found $verdict ${unreached:+(lines $unreached)}"
		failed=1
		;;
	esac
}

wanted() { ((${#only[@]} == 0)) || printf '%s\n' "${only[@]}" | grep -qxF -e "$1"; }

for name in "${right[@]}"; do if wanted "$name"; then verdict "$name" right; fi; done
for name in "${idle[@]}"; do if wanted "$name"; then verdict "$name" idle; fi; done
for name in "${witnesses[@]}"; do if wanted "$name"; then verdict "$name" witness; fi; done
for mutant in "${mutants[@]}"; do
	if wanted "${mutant%:*}"; then verdict "${mutant%:*}" "${mutant#*:}"; fi
done
exit "$failed"
