#!/usr/bin/env bash
# Each report over 1,000,000 members with 10,000,000 entries of the last two years:
# from the ledger alone, and with rollups up to an hour ago, since when a day's
# worth has been posted. What making the rollups takes, and bringing them up to
# now; what maintenance takes when there is nothing else to do. It does not fit into
# the quarter of an hour of make bench, and so runs by name: scripts/bench.sh report.

# shellcheck source=bench/lib.sh
source "$(dirname "$0")/lib.sh"

members=${MEMBERS:-$(scaled 1000000)}
each=10
fresh=$((members / 70)) # entries of a day
runs=${RUNS:-3}

# Each as somebody would ask for it; name, then statement.
reports=(
	points_by_day "SELECT day, sum(points), sum(amount) FROM loyalty.points_by_day WHERE program_id = (SELECT loyalty.report_program()) GROUP BY 1 ORDER BY 1"
	activity_by_month "SELECT month, count(*), sum(purchases), sum(amount) FROM loyalty.activity_by_month WHERE program_id = (SELECT loyalty.report_program()) GROUP BY 1 ORDER BY 1"
	liability "SELECT * FROM loyalty.liability"
	tier_distribution "SELECT * FROM loyalty.tier_distribution"
	enrollments_by_day "SELECT day, sum(members) FROM loyalty.enrollments_by_day GROUP BY 1 ORDER BY 1"
	enrollments "SELECT * FROM loyalty.enrollments()"
	activity "SELECT * FROM loyalty.activity()"
	member_figures "SELECT * FROM loyalty.member_figures()"
	leaderboard "SELECT * FROM loyalty.leaderboard()"
	purchase_figures "SELECT * FROM loyalty.purchase_figures()"
	cohort_retention "SELECT * FROM loyalty.cohort_retention()"
	member_flow "SELECT * FROM loyalty.member_flow()"
	member_value "SELECT sum(revenue), sum(lifetime_value) FROM loyalty.member_value()"
	lifetime_value "SELECT * FROM loyalty.lifetime_value()"
	rfm "SELECT score, count(*) FROM loyalty.rfm() GROUP BY 1 ORDER BY 1"
	rfm_segments "SELECT * FROM loyalty.rfm_segments()"
	lapsed "SELECT count(*) FROM loyalty.lapsed"
	roll_forward "SELECT * FROM loyalty.roll_forward()"
	roll_forward_by_rule "SELECT * FROM loyalty.roll_forward_by_rule()"
	points_by_kind "SELECT * FROM loyalty.points_by_kind()"
	redemption_rates "SELECT * FROM loyalty.redemption_rates()"
	outstanding_by_age "SELECT * FROM loyalty.outstanding_by_age()"
	redemption_cohorts "SELECT * FROM loyalty.redemption_cohorts()"
	breakage "SELECT * FROM loyalty.breakage()"
	expiry_forecast "SELECT * FROM loyalty.expiry_forecast()"
	lots_by_day "SELECT day, sum(sales) FROM loyalty.lots_by_day GROUP BY 1 ORDER BY 1"
	deferral "SELECT * FROM loyalty.deferral()"
	journal "SELECT * FROM loyalty.journal()"
	purchases_by_membership "SELECT * FROM loyalty.purchases_by_membership('month')"
	points_by_store "SELECT * FROM loyalty.points_by_store()"
	points_by_channel "SELECT * FROM loyalty.points_by_channel()"
	points_by_place "SELECT * FROM loyalty.points_by_place()"
	point_values "SELECT * FROM loyalty.point_values()"
	reward_performance "SELECT * FROM loyalty.reward_performance()"
	tier_performance "SELECT * FROM loyalty.tier_performance()"
	rule_performance "SELECT * FROM loyalty.rule_performance()"
	activity_by_tier "SELECT tier, sum(purchases) FROM loyalty.activity_by_tier GROUP BY 1 ORDER BY 1"
	feedback_by_day "SELECT day, sum(answers) FROM loyalty.feedback_by_day GROUP BY 1 ORDER BY 1"
	net_promoter_score "SELECT * FROM loyalty.net_promoter_score()"
	feedback_by_period "SELECT * FROM loyalty.feedback_by_period('nps')"
	satisfaction "SELECT * FROM loyalty.satisfaction()"
	expiring_by_day "SELECT * FROM loyalty.expiring_by_day"
	dashboard "SELECT * FROM loyalty.dashboard()"
)

# timed STATEMENT: seconds in the server's own count.
timed() {
	sql bench_report -c '\timing on' -c "$1" | awk '/^Time: / { t = $2 / 1000 } END { printf "%.3f\n", t }'
}

echo "# report: $members members, $((members * each)) entries; $runs runs"
createdb bench_report
sql bench_report -v members="$members" -v each=$each -f "$bench/report.sql" >/dev/null
sql bench_report -c "VACUUM (ANALYZE)" -c CHECKPOINT

declare -A without=() with=()
for ((i = 0; i < ${#reports[@]}; i += 2)); do
	without[${reports[i]}]=$(timed "${reports[i + 1]}")
done
roll_up=$(timed "SELECT loyalty.roll_up()")
sql bench_report -c "VACUUM (ANALYZE)" -c CHECKPOINT
for ((run = 1; run <= runs; run++)); do
	for ((i = 0; i < ${#reports[@]}; i += 2)); do
		with[${reports[i]}]+=" $(timed "${reports[i + 1]}")"
	done
done
echo "rollups: $(sql bench_report -c "SELECT format('%s of days in %s kB, %s of members'' months in %s MB',
	(SELECT count(*) FROM loyalty.rollup_day), pg_total_relation_size('loyalty.rollup_day') / 1024,
	(SELECT count(*) FROM loyalty.rollup_month), pg_total_relation_size('loyalty.rollup_month') / 1048576)")"
echo "made in $roll_up s; maintenance then takes $(timed 'CALL loyalty.maintain()') s;" \
	"bringing them up by $fresh entries takes $(timed 'SELECT loyalty.roll_up(until => now())') s"
dropdb bench_report

for ((i = 0; i < ${#reports[@]}; i += 2)); do
	name=${reports[i]}
	echo "$name: from the ledger alone ${without[$name]} s"
	against_target "report: $name, seconds" "${with[$name]}" at-most 5
done
