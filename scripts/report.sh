#!/usr/bin/env bash
# make report: a page with the figures and charts of a program, that needs no
# network to be looked at.
#
#   make report                            of a small shop of its own (demo/report.sql), on a throw-away server
#   make report DBNAME=shop PROGRAM=beans  of a program on a running server (PGHOST and so on as for psql)
#   make report OUT=page.html              written there; else report.html
#   make report PICTURE=doc/report.png     and a picture of it, by headless Chromium
#
# The charts are drawn by two libraries from the npm registry, fetched when the
# page is built, held against the checksums below and put into the page with
# their licences. Where they cannot be had, the page has tables instead.

# shellcheck source=scripts/lib.sh
source "$(dirname "$0")/lib.sh"

readonly libraries=(
	d3@7.9.0 package/dist/d3.min.js
	7e36605710a2ba54846797c8c6d888911341b215ae53257dc32a49a0b824355e
	@observablehq/plot@0.6.17 package/dist/plot.umd.min.js
	4dcc9f7afd10caee8b2283c0075a5765610cfbbf6d7d93cdb153b3b5d3501afc
)

# fetch_library PACKAGE FILE SHA256: the file after its licence, to standard output.
fetch_library() {
	local package=$1 file=$2 sum=$3 archive

	archive=$(cd "$work/charts" && npm pack --silent "$package" 2>"$work/npm.log") || {
		tail -n 3 "$work/npm.log" >&2
		return 1
	}
	archive=$work/charts/$(tail -n 1 <<<"$archive")
	sha256sum --quiet --check - <<<"$sum  $archive" >&2 || die "$package is not what it was: check it, and its checksum here"
	printf '/*! %s\n\n%s\n*/\n' "$package" "$(tar -xzOf "$archive" package/LICENSE)"
	tar -xzOf "$archive" "$file"
	echo
}

fetch_charts() {
	local i

	mkdir -p "$work/charts"
	command -v npm >/dev/null || {
		note "npm is not installed"
		return 1
	}
	for ((i = 0; i < ${#libraries[@]}; i += 3)); do
		fetch_library "${libraries[@]:i:3}" || return 1
	done >"$work/charts.js"
}

write_page() {
	psql -X -v program="${PROGRAM:-}" -f scripts/report/report.sql >"$work/report.html"
	mv "$work/report.html" "$OUT"
}

take_picture() {
	chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/chromium" \
		--virtual-time-budget=5000 --window-size=1280,1500 --screenshot="$work/report.png" "file://$OUT" >/dev/null 2>&1 ||
		die "could not take a picture of the page"
	mv "$work/report.png" "$PICTURE"
}

if [[ ${1:-} == --beside-server ]]; then
	cd "$root"
	createdb shop
	export PGDATABASE=shop
	psql -Xq -v ON_ERROR_STOP=1 -f demo/report.sql
	write_page
	exit
fi

OUT=$(realpath -m "${OUT:-report.html}")
[[ -z ${PICTURE:-} ]] || PICTURE=$(realpath -m "$PICTURE")
export OUT PROGRAM
make_work
if fetch_charts; then
	export REPORT_CHARTS=$work/charts.js
else
	note "the libraries for charts cannot be had: the page has tables instead"
fi

cd "$root"
if [[ ${DBNAME:-} ]]; then
	export PGDATABASE=$DBNAME
	write_page
else
	need "${build_packages[@]}"
	note "building"
	build_stage
	note "making a shop on a throw-away server"
	with_server "$root/scripts/report.sh" --beside-server
fi
note "written: $OUT"
if [[ ${PICTURE:-} ]]; then
	need chromium
	take_picture
	note "written: $PICTURE"
fi
