package iptables

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
)

// An option is one "--name args" of a match or target.
type option struct {
	name string // without the dashes
	not  bool
	args []string
}

func (o option) arg() string {
	if len(o.args) == 0 {
		return ""
	}
	return o.args[0]
}

// A use is a match or target that a rule asks for, with the options it gives.
type use struct {
	ext     *extension
	target  bool
	options []option
}

// A draft is a rule that is being read.
type draft struct {
	header
	conditions
	target target
}

// A ruleParser reads one rule.
type ruleParser struct {
	*parser
	rule  draft
	words []string
	not   bool // a "!" was read

	building building
}

var (
	errArgs   = errors.New("argument missing")
	errTwice  = errors.New("given twice")
	errNumber = errors.New("not a number")
)

// rule reads a rule from the words after its chain. What cannot be read
// becomes the rule's fault.
func (p *parser) rule(raw string, words []string, lexErr error) *Rule {
	p.used = p.used[:0]
	rp := &p.current
	rp.words, rp.not = words, false
	rp.rule = draft{conditions: conditions{matches: rp.rule.matches[:0], picks: rp.rule.picks[:0]}}
	if lexErr != nil {
		rp.fault(lexErr.Error())
		rp.rule.target = &unknownTarget{what: "target not understood: " + raw}
	}
	for len(rp.words) > 0 {
		rp.option(rp.next())
	}
	for i := range p.used {
		rp.build(&p.used[i])
	}
	d := &rp.rule
	if d.fault != "" && d.target == nil && (strings.Contains(raw, " -j") || strings.Contains(raw, " -g")) {
		d.target = &unknownTarget{what: "target not understood: " + raw} // taken for something else
	}
	if d.fault != "" {
		p.fail(p.line, d.fault)
	}
	return &Rule{Raw: raw, Line: p.line, head: p.header(&d.header), more: p.conditions(&d.conditions), target: d.target}
}

// header returns h in memory that lasts. Rules without addresses often ask for
// the same, and share it.
func (p *parser) header(h *header) *header {
	if h.src != nil || h.dst != nil || h.in != nil || h.out != nil {
		kept := *h
		return &kept
	}
	kept, ok := p.headers[*h]
	if !ok {
		kept = &header{}
		*kept = *h
		p.headers[*h] = kept
	}
	return kept
}

// conditions returns c in memory that lasts, shared by the rules that ask for
// a share of the traffic and for nothing else.
func (p *parser) conditions(c *conditions) *conditions {
	if len(c.matches) == 0 && len(c.picks) == 0 && c.fault == "" {
		return nil
	}
	share, only := c.share()
	if kept, ok := p.shares[share]; only && ok {
		return kept
	}
	kept := &conditions{fault: c.fault, matches: slices.Clone(c.matches), picks: slices.Clone(c.picks)}
	if only {
		p.shares[share] = kept
	}
	return kept
}

// share returns the share that c asks for, if it asks for nothing else.
func (c *conditions) share() (share float64, only bool) {
	if len(c.matches) > 0 || len(c.picks) != 1 || c.fault != "" {
		return 0, false
	}
	s, ok := c.picks[0].(*statistic)
	if !ok {
		return 0, false
	}
	return s.weights[0], true
}

// fault notes the first thing that is not understood.
func (p *ruleParser) fault(what string) {
	if p.rule.fault == "" {
		p.rule.fault = "rule not understood: " + what
	}
}

func (p *ruleParser) next() string {
	w := p.words[0]
	p.words = p.words[1:]
	return w
}

// args takes n arguments. A "!" before the first belongs to the option.
func (p *ruleParser) args(n int) ([]string, error) {
	if n > 0 && len(p.words) > n && p.words[0] == "!" {
		p.not = !p.not
		p.words = p.words[1:]
	}
	if len(p.words) < n {
		p.words = nil
		return nil, errArgs
	}
	args := p.words[:n:n]
	p.words = p.words[n:]
	return args, nil
}

// option reads one option, whose name is w, with its arguments.
func (p *ruleParser) option(w string) {
	if w == "!" {
		p.not = true
		return
	}
	var err error
	switch w {
	case "-s", "--source", "--src":
		err = p.address(&p.rule.src)
	case "-d", "--destination", "--dst":
		err = p.address(&p.rule.dst)
	case "-p", "--protocol", "--proto":
		err = p.protocol()
	case "-i", "--in-interface":
		err = p.iface(&p.rule.in)
	case "-o", "--out-interface":
		err = p.iface(&p.rule.out)
	case "-m", "--match":
		err = p.load()
	case "-j", "--jump":
		err = p.jump(false)
	case "-g", "--goto":
		err = p.jump(true)
	default:
		err = p.rareOption(w)
	}
	p.not = false
	if err != nil {
		p.fault(fmt.Sprintf("%s: %v", w, err))
	}
}

func (p *ruleParser) rareOption(w string) error {
	switch w {
	case "-f", "--fragment": // simulated packets are whole
		p.rule.matches = append(p.rule.matches, fixed(answerOf(p.not)))
		return nil
	case "-c", "--set-counters":
		_, err := p.args(2)
		return err
	}
	return p.extensionOption(w)
}

func (p *ruleParser) address(m **addrMatch) error {
	args, err := p.args(1)
	if err != nil {
		return err
	}
	if *m != nil {
		return errTwice
	}
	*m, err = parseAddrMatch(args[0], p.not)
	return err
}

func (p *ruleParser) iface(m **ifaceMatch) error {
	args, err := p.args(1)
	if err != nil {
		return err
	}
	if *m != nil {
		return errTwice
	}
	*m = parseIfaceMatch(args[0], p.not)
	return nil
}

func (p *ruleParser) protocol() error {
	args, err := p.args(1)
	if err != nil {
		return err
	}
	if p.rule.proto != "" {
		return errTwice
	}
	proto, err := parseProtocol(args[0])
	if err != nil {
		return err
	}
	if proto == "" && p.not { // "! -p all" matches nothing
		p.rule.matches = append(p.rule.matches, fixed(answerOf(false)))
		return nil
	}
	p.rule.proto, p.rule.notProto = proto, p.not
	return nil
}

// load reads the name after "-m".
func (p *ruleParser) load() error {
	args, err := p.args(1)
	if err != nil {
		return err
	}
	ext, ok := p.set.matches[args[0]]
	if !ok {
		ext = &extension{name: args[0], loose: true, buildMatch: unknownMatch}
	}
	p.use(ext, false)
	return nil
}

// use notes that the rule uses ext. The options of a use before it lend their
// memory.
func (p *ruleParser) use(ext *extension, target bool) *use {
	if len(p.used) < cap(p.used) {
		p.used = p.used[:len(p.used)+1]
	} else {
		p.used = append(p.used, use{})
	}
	u := &p.used[len(p.used)-1]
	u.ext, u.target, u.options = ext, target, u.options[:0]
	return u
}

// jump reads the name after "-j" or "-g": a target, else a chain.
func (p *ruleParser) jump(goes bool) error {
	args, err := p.args(1)
	if err != nil {
		return err
	}
	if p.rule.target != nil {
		return errTwice
	}
	name := args[0]
	if ext, ok := p.set.targets[name]; ok && !goes {
		p.use(ext, true)
		p.rule.target = &unknownTarget{what: "target not understood: -j " + name}
		return nil
	}
	p.use(p.set.chain, true)
	p.rule.target = jump{p.named(name)}
	if goes {
		p.rule.target = gone{p.named(name)}
	}
	return nil
}

// extensionOption reads an option of a match or target: of the one that was
// named last, among those that have it.
func (p *ruleParser) extensionOption(w string) error {
	name, dashed := strings.CutPrefix(w, "--")
	if !dashed {
		return errors.New("unknown option")
	}
	u, args := p.owner(name)
	if u == nil {
		p.loose()
		return errors.New("unknown option")
	}
	if args < 0 {
		u.options = append(u.options, option{name: name, not: p.not, args: p.loose()})
		return nil
	}
	list, err := p.args(args)
	if err != nil {
		return err
	}
	u.options = append(u.options, option{name: name, not: p.not, args: list})
	return nil
}

// owner finds who takes the option called name, and how many arguments it
// has: -1 if that is not known.
func (p *ruleParser) owner(name string) (*use, int) {
	for i := len(p.used) - 1; i >= 0; i-- {
		if n, ok := p.used[i].ext.takes(name); ok {
			return &p.used[i], n
		}
	}
	if ext := p.set.matches[protocolMatch(p.rule.proto)]; ext != nil { // "-p tcp" alone knows tcp's options
		if n, ok := ext.takes(name); ok {
			return p.use(ext, false), n
		}
	}
	for i := len(p.used) - 1; i >= 0; i-- {
		if p.used[i].ext.loose {
			return &p.used[i], -1
		}
	}
	return nil, 0
}

// loose takes the words up to the next option.
func (p *ruleParser) loose() []string {
	n := slices.IndexFunc(p.words, func(w string) bool { return w == "!" || len(w) > 1 && w[0] == '-' })
	if n < 0 {
		n = len(p.words)
	}
	args := p.words[:n:n]
	p.words = p.words[n:]
	return args
}

// build makes the matcher or target of u.
func (p *ruleParser) build(u *use) {
	switch {
	case u.target && u.ext.buildTarget != nil:
		t, err := u.ext.buildTarget(u.options)
		if t == target(reject("tcp-reset")) && (p.rule.proto != model.TCP || p.rule.notProto) {
			err = errProtoFor // reject_tg_check refuses it
		}
		if err != nil {
			what := fmt.Sprintf("target not understood: -j %s: %v", u.ext.name, err)
			p.rule.target = &unknownTarget{what: what}
			p.fail(p.line, what)
			return
		}
		p.rule.target = t
	case !u.target && u.ext.buildMatch != nil:
		p.building = building{rule: &p.rule, sets: p.sets, ext: u.ext}
		if err := u.ext.buildMatch(&p.building, u.options); err != nil {
			p.fault(fmt.Sprintf("-m %s: %v", u.ext.name, err))
		}
	}
}
