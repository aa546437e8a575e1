'use strict';
// What the database said is only ever put in as text, never as markup.
(() => {
	const data = JSON.parse(document.getElementById('data').textContent);
	const page = document.getElementById('page');
	const drawn = typeof Plot !== 'undefined';
	const number = new Intl.NumberFormat('en', {maximumFractionDigits: 2});
	const money = new Intl.NumberFormat('en', {minimumFractionDigits: 2, maximumFractionDigits: 2});
	const short = new Intl.NumberFormat('en', {notation: 'compact', maximumFractionDigits: 1});
	const percent = value => value === null ? '–' : `${(100 * value).toFixed(1)} %`;
	const unit = data.currency ? ` (${data.currency})` : '';
	const day = text => new Date(`${text}T00:00:00Z`);
	const redraw = [];

	function add(parent, tag, text, name) {
		const element = document.createElement(tag);
		if (text !== undefined && text !== null) element.textContent = text;
		if (name) element.className = name;
		parent.append(element);
		return element;
	}

	function table(parent, columns, rows) {
		const body = add(add(parent, 'div', null, 'scroll'), 'table');
		const head = add(add(body, 'thead'), 'tr');
		for (const [title] of columns) add(head, 'th', title);
		const lines = add(body, 'tbody');
		for (const row of rows) {
			const line = add(lines, 'tr');
			for (const [, value] of columns) add(line, 'td', value(row));
		}
	}

	// A chart over its numbers, which are there without JavaScript libraries, too.
	function section(charts, id, title, note, columns, rows, draw, wide) {
		const part = add(charts, 'section', null, wide ? 'wide' : null);
		part.id = id;
		add(part, 'h2', title);
		add(part, 'p', note);
		if (rows.length === 0) {
			add(part, 'p', 'Nothing yet.');
			return;
		}
		if (drawn && draw) {
			const place = add(part, 'div', null, 'chart');
			redraw.push(() => place.replaceChildren(draw(Math.max(240, place.clientWidth))));
		}
		const details = add(part, 'details');
		details.open = !drawn || !draw;
		add(details, 'summary', 'Table');
		table(details, columns, rows);
	}

	const ticks = width => Math.max(2, Math.floor(width / 90));
	const frame = (width, options) => Plot.plot({
		width, height: 260, marginLeft: 48, marginRight: 12, marginTop: 24,
		style: {background: 'transparent', color: 'var(--text)', fontFamily: 'inherit', fontSize: '12px'},
		...options,
	});
	const byMonth = width => ({type: 'utc', label: null, ticks: ticks(width)});
	const bars = width => ({label: null, type: 'band', tickFormat: label(width), ticks: sparse(width)});
	// Of band scales the labels are thinned by hand.
	const sparse = width => months.filter((m, i) => i % Math.ceil(months.length / ticks(width)) === 0).map(m => m.date);
	const label = () => date => date.toLocaleDateString('en', {month: 'short', year: '2-digit', timeZone: 'UTC'});
	const points = {label: 'points', grid: true, tickFormat: value => short.format(value)};

	const months = data.months.map(m => ({...m, date: day(m.month)}));
	const month = ['Month', m => m.month.slice(0, 7)];

	document.title = `${data.program}: loyalty report`;
	add(page, 'h1', data.program);
	add(page, 'p', `As of ${data.today} (${data.time_zone}). Figures are of the last 30 days, change against the 30 days before, and the trend of twelve such periods.`);

	const figures = add(page, 'div', null, 'figures');
	figures.id = 'figures';
	for (const d of data.dashboard) {
		const figure = add(figures, 'div', null, 'figure');
		figure.dataset.figure = d.figure;
		add(figure, 'span', d.figure);
		add(figure, 'b', d.value ?? '–');
		add(figure, 'span', d.change === null ? '\u00a0' : `${d.change > 0 ? '+' : ''}${number.format(d.change)} %`);
		add(figure, 'span', d.trend, 'trend').setAttribute('aria-hidden', 'true');
	}

	const charts = add(page, 'div', null, 'charts');

	const people = months.flatMap(m => [
		{date: m.date, who: 'members', count: m.members}, {date: m.date, who: 'active members', count: m.active}]);
	section(charts, 'members', 'Members', 'Members by the end of each month, and those who bought in it.',
		[month, ['Members', m => number.format(m.members)], ['Active', m => number.format(m.active)],
			['Active rate', m => percent(m.members > 0 ? m.active / m.members : null)]], months,
		width => frame(width, {
			x: byMonth(width), y: {label: 'members', grid: true, tickFormat: value => short.format(value)},
			color: {legend: true, domain: ['members', 'active members'], range: ['var(--c1)', 'var(--c2)']},
			marks: [
				Plot.ruleY([0], {stroke: 'var(--line)'}),
				Plot.lineY(people, {x: 'date', y: 'count', stroke: 'who', strokeWidth: 2}),
				Plot.tip(people, Plot.pointer({x: 'date', y: 'count', stroke: 'who'})),
			],
		}));

	section(charts, 'revenue', `Revenue of members${unit}`, 'What members bought, less what they returned.',
		[month, ['Revenue', m => money.format(m.revenue)], ['Purchases', m => number.format(m.purchases)],
			['Average order', m => m.purchases > 0 ? money.format(m.revenue / m.purchases) : '–']], months,
		width => frame(width, {
			x: bars(width), y: {label: data.currency, grid: true, tickFormat: value => short.format(value)},
			marks: [Plot.barY(months, {x: 'date', y: 'revenue', fill: 'var(--c1)', tip: true}), Plot.ruleY([0], {stroke: 'var(--soft)'})],
		}));

	const flows = [['earned', 'var(--c1)'], ['adjusted', 'var(--c5)'], ['clawed back', 'var(--c4)'], ['redeemed', 'var(--c2)'], ['expired', 'var(--c3)']];
	const moved = months.flatMap(m => flows.map(([kind]) => ({date: m.date, kind, points: m[kind.replace(' ', '_')]}))).filter(m => m.points !== 0);
	section(charts, 'points', 'Points, rolled forward', 'What came in each month is above the line, what went below it. Closing is what was outstanding at its end.',
		[month, ['Opening', m => number.format(m.opening)],
			...flows.map(([kind]) => [kind[0].toUpperCase() + kind.slice(1), m => number.format(m[kind.replace(' ', '_')])]),
			['Closing', m => number.format(m.closing)]], months,
		width => frame(width, {
			height: 320, x: bars(width), y: points,
			color: {legend: true, domain: flows.map(f => f[0]), range: flows.map(f => f[1])},
			marks: [
				Plot.barY(moved, {x: 'date', y: 'points', fill: 'kind', order: flows.map(f => f[0]), tip: true}),
				Plot.ruleY([0], {stroke: 'var(--soft)'}),
			],
		}), true);

	const expiry = l => l.month === 'infinity' ? 'never' : l.month.slice(0, 7);
	section(charts, 'liability', 'Outstanding points by expiry month', 'What the shop owes now, by the month in which it expires.',
		[['Month', expiry], ['Points', l => number.format(l.points)], ['Members', l => number.format(l.members)],
			['Value', l => l.value === null ? '–' : money.format(l.value)]], data.liability,
		width => frame(width, {
			x: {label: null, type: 'band', domain: data.liability.map(expiry),
				ticks: data.liability.map(expiry).filter((m, i) => i % Math.ceil(data.liability.length / ticks(width)) === 0)},
			y: points,
			marks: [Plot.barY(data.liability, {x: expiry, y: 'points', fill: 'var(--c3)', tip: true}), Plot.ruleY([0], {stroke: 'var(--soft)'})],
		}));

	section(charts, 'redemption', 'Redemption rate', 'Points redeemed in a month (less what came back), over those earned in it (less what returns took back).',
		[month, ['Rate', m => percent(m.redemption_rate)]], months,
		width => frame(width, {
			x: byMonth(width), y: {label: 'percent', percent: true, grid: true, zero: true},
			marks: [
				Plot.ruleY([0], {stroke: 'var(--line)'}),
				Plot.lineY(months, {x: 'date', y: 'redemption_rate', stroke: 'var(--c2)', strokeWidth: 2, tip: true}),
			],
		}));

	// The last two years of cohorts; in the page's own table, so that it can be read and copied.
	const cohorts = data.cohorts.slice(-24);
	const retention = add(charts, 'section', null, 'wide');
	retention.id = 'cohorts';
	add(retention, 'h2', 'Retention by cohort');
	add(retention, 'p', 'Of those who joined in a month, how many bought so many months later, in percent.');
	if (cohorts.length > 0) {
		const oldest = Math.min(24, cohorts[0].rates.length - 1);
		const heat = add(add(retention, 'div', null, 'scroll'), 'table', null, 'heat');
		const head = add(add(heat, 'thead'), 'tr');
		add(head, 'th', 'cohort');
		add(head, 'th', 'members');
		for (let n = 1; n <= oldest; n++) add(head, 'th', n);
		const body = add(heat, 'tbody');
		for (const c of cohorts) {
			const line = add(body, 'tr');
			add(line, 'th', c.cohort.slice(0, 7));
			add(line, 'td', number.format(c.members));
			for (const rate of c.rates.slice(1, oldest + 1)) {
				add(line, 'td', (100 * rate).toFixed(0)).style.background = `rgba(var(--heat), ${(0.75 * rate).toFixed(3)})`;
			}
		}
	}

	const draw = () => redraw.forEach(chart => chart());
	let width = 0;
	draw();
	addEventListener('resize', () => {
		if (width === (width = document.documentElement.clientWidth)) return;
		draw();
	});
})();
