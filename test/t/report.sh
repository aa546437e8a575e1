#!/usr/bin/env bash
# The page of make report: written by psql alone, and with charts; opened in a
# browser it draws them, has the database's figures, says no error, loads
# nothing and fits a phone.  A program's name cannot become markup.

# shellcheck source=scripts/lib.sh
source scripts/lib.sh

tests=0

# check DESCRIPTION COMMAND...
check() {
	local description=$1

	shift
	tests=$((tests + 1))
	if "$@" >"$here/check.log" 2>&1; then
		echo "ok $tests - $description"
	else
		echo "not ok $tests - $description"
		sed 's/^/# /' "$here/check.log"
	fi
}

skip() {
	tests=$((tests + 1))
	echo "ok $tests - $1 # skip $2"
}

finish() {
	echo "1..$tests"
	exit 0
}

here=$(mktemp -d "$TMPDIR/report.XXXXXX")
export PGDATABASE=report_page
name='</script><b id=evil> "beans" & '\''tea'\'' <!--'
createdb "$PGDATABASE"
psql -Xq -v ON_ERROR_STOP=1 -f demo/report.sql
# Another one, with a name as bad as a name can be, and nobody in it but one.
psql -Xq -v ON_ERROR_STOP=1 -v name="$name" <<-'SQL'
	INSERT INTO loyalty.program (name, currency) VALUES (:'name', '<i>');
	INSERT INTO loyalty.rule (program, name, award) VALUES (:'name', 'base', '1 per 1');
	SELECT loyalty.record('<script>', 'purchase', 10, program => :'name') \g /dev/null
SQL

write() {
	psql -X -v program="$1" -f scripts/report/report.sql >"$2"
}

as_often() {
	[[ $(grep -oiF -- "$1" "$2" | wc -l) == "$3" ]] || { grep -oiF -- "$1" "$2" | wc -l; return 1; }
}

refused() {
	! psql -X -v program="$1" -f scripts/report/report.sql
}

check 'psql writes a page' write beans "$here/plain.html"
check 'psql writes one of a program with a bad name' write "$name" "$here/bad.html"
check 'which ends no script' as_often '</script' "$here/bad.html" 3
check 'and begins no comment' as_often '<!--' "$here/bad.html" 0
check 'nothing is loaded from elsewhere' as_often ' src=' "$here/plain.html" 0
check 'no page of a program that does not exist' refused nobody
psql -Xq -c 'CREATE ROLE report_reader' -c "SELECT loyalty.grant_access('report_reader', 'read', 'beans')" >/dev/null
check 'who may read a program has its page' env PGOPTIONS='-c role=report_reader' psql -X -o /dev/null -f scripts/report/report.sql
check 'and no other' env PGOPTIONS='-c role=report_reader' bash -c '! psql -X -v program="$1" -f scripts/report/report.sql' _ "$name"
psql -Xq -c "SELECT loyalty.revoke_access('report_reader', 'read', 'beans')" -c 'DROP ROLE report_reader' >/dev/null

check 'make report writes a page' env DBNAME="$PGDATABASE" PROGRAM=beans OUT="$here/report.html" scripts/report.sh
charts=1
grep -q '^/\*! @observablehq/plot' "$here/report.html" || charts=

if ! command -v chromium >/dev/null && ! (need chromium) >/dev/null 2>&1; then
	skip 'the page in a browser' 'chromium cannot be installed'
	finish
fi

# browse PAGE SIZE OPTION...: what it writes to the console comes on standard error.
browse() {
	local page=$1 size=$2

	shift 2
	timeout 120 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$here/chromium" \
		--enable-logging=stderr --virtual-time-budget=5000 --window-size="$size" "$@" "file://$page" 2>"$here/console"
}

# The page tells how wide it is, and by how much what is in it is wider.  It does
# so from a frame, since a browser's own window has a least width.
probe='<script>parent.postMessage([innerWidth, document.documentElement.scrollWidth - document.documentElement.clientWidth].join(), "*")</script>'
frame='<!DOCTYPE html><script>onmessage = m => document.documentElement.dataset.fits = m.data</script><iframe src="probed.html" width="WIDTH" height="800"></iframe>'

# fits PAGE WIDTH
fits() {
	{ cat "$1"; echo "$probe"; } >"$here/probed.html"
	echo "${frame/WIDTH/$2}" >"$here/frame.html"
	browse "$here/frame.html" 1400,900 --dump-dom >"$here/framed"
	cat "$here/framed"
	grep -q "data-fits=\"$2,0\"" "$here/framed"
}

dump() {
	browse "$1" "$2" --dump-dom >"$here/dom"
	cat "$here/console"
	[[ -s $here/dom ]]
}

silent() {
	! grep 'CONSOLE' "$here/console"
}

# The figures in the page, one a line, and the database's.
figures_in() {
	grep -o 'data-figure="[^"]*"><span>[^<]*</span><b>[^<]*</b>' "$here/dom" | sed 's/data-figure="\([^"]*\)".*<b>\(.*\)<\/b>/\1|\2/'
}

same_figures() {
	diff <(psql -XAt -c "SELECT figure, coalesce(value, '–') FROM loyalty.dashboard('$1')") <(figures_in)
}

# Every section with a chart has one, with marks in it.
drawn() {
	local id

	for id in members revenue points liability redemption; do
		tr -d '\n' <"$here/dom" | grep -oE "<section[^>]* id=\"$id\".*" | sed 's/<\/section>.*//' | grep -qE '<svg.*<(path|rect)[^>]* (d|width)="[^"]{2,}"' || {
			echo "no chart in $id"
			return 1
		}
	done
	grep -q 'class="heat"' "$here/dom"
}

for page in report plain bad; do
	[[ $page != report || $charts ]] || {
		skip 'the page with charts' 'the libraries cannot be had'
		continue
	}
	check "$page opens" dump "$here/$page.html" 1280,900
	check "$page: no errors" silent
	for width in 1280 390; do
		check "$page: nothing to scroll sideways at $width" fits "$here/$page.html" "$width"
		check "$page: no errors there" silent
	done
	if [[ $page == report ]]; then
		check 'the charts are drawn' drawn
		for size in 1280,900 390,844; do
			check "a picture at $size" browse "$here/report.html" "$size" --screenshot="$here/$size.png"
			check 'which shows something' test "$(stat -c %s "$here/$size.png" 2>/dev/null || echo 0)" -gt 20000
		done
	fi
	if [[ $page == bad ]]; then
		check 'its name is text' grep -qF '&lt;/script&gt;&lt;b id=evil&gt; "beans" &amp;' "$here/dom"
		check 'and nothing else' as_often 'id="evil"' "$here/dom" 0
	else
		check "$page: the figures are the database's" same_figures beans
	fi
done
finish
