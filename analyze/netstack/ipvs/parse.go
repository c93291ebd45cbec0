package ipvs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"

	"github.com/pathsnap/pathsnap/analyze/model"
	"github.com/pathsnap/pathsnap/analyze/netstack/netfilter"
	"github.com/pathsnap/pathsnap/snapshot/nodedump"
)

var (
	errCommand   = errors.New("neither -A nor -a")
	errNoService = errors.New("no service named")
	errTwice     = errors.New("service added twice")
	errNotAdded  = errors.New("service not added")
	errServer    = errors.New("no real server named")
	errAddr      = errors.New("not an address with a port: save with -n")
	errValue     = errors.New("value missing")
	errOption    = errors.New("unknown option")
	errFamily    = errors.New("only a tunnel leads from one family to the other")
)

// Parse reads ipvs.json, or the text of "ipvsadm-save -n" as it is. It always
// returns a usable Table; each line that could not be read is one
// [netfilter.UnsupportedError]. Where the service of such a line is known only
// that service is in doubt.
func Parse(part nodedump.Part) (*Table, []error) {
	p := &parser{table: &Table{status: part, services: map[key]*Service{}, marked: map[markKey]*Service{}}, file: part.File, options: options()}
	p.table.status.Data = nil
	if text := bytes.TrimSpace(part.Data); len(text) > 0 && text[0] == '{' {
		p.json(part.Data)
	} else {
		line := 0
		for text := range strings.SplitSeq(string(part.Data), "\n") {
			line++
			p.line(text, line)
		}
	}
	p.table.notUnderstood = len(p.errs)
	return p.table, p.errs
}

type parser struct {
	table   *Table
	file    string
	options map[string]option
	errs    []error
}

// json reads {"rules": ["-A ...", ...]}, in any layout.
func (p *parser) json(data []byte) {
	d := json.NewDecoder(bytes.NewReader(data))
	at := place{}
	read, line := int64(0), 1
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) && at.depth == 0 {
			return
		}
		end := min(d.InputOffset(), int64(len(data)))
		line += bytes.Count(data[read:end], []byte("\n"))
		read = end
		if err != nil {
			p.fail(line, fmt.Errorf("not JSON: %w", err), "", nil)
			return
		}
		if at.rule(token) {
			p.line(token.(string), line)
		}
	}
}

// A place is where in the JSON a token is.
type place struct {
	depth  int
	member string // of the outermost object
	list   bool   // in the list of rules
}

// rule takes one token, and reports whether it is a rule.
func (at *place) rule(token json.Token) bool {
	switch v := token.(type) {
	case json.Delim:
		if v == '{' || v == '[' {
			at.depth++
		} else {
			at.depth--
		}
		at.list = at.depth == 2 && at.member == "rules" && v == '['
	case string:
		if at.depth == 1 {
			at.member = v
		}
		return at.list
	}
	return false
}

// line reads one line of ipvsadm-save.
func (p *parser) line(text string, line int) {
	text = strings.TrimSpace(text)
	if text == "" || text[0] == '#' {
		return
	}
	e := &entry{service: Service{Text: text, Evidence: fmt.Sprintf("%s:%d", p.file, line)}, server: Server{Method: Direct, Weight: 1}}
	e.server.Text, e.server.Evidence = text, e.service.Evidence
	words := strings.Fields(text)
	err := e.read(words, p.options)
	switch {
	case err != nil:
	case words[0] == "-A" || words[0] == "--add-service":
		err = p.add(&e.service)
	case words[0] == "-a" || words[0] == "--add-server":
		err = p.addServer(e)
	default:
		err = errCommand
	}
	if err != nil {
		p.fail(line, err, text, e)
	}
}

// fail notes a line that was not understood. A service that it adds is there all
// the same.
func (p *parser) fail(line int, err error, text string, e *entry) {
	what := strings.TrimSpace(fmt.Sprintf("ipvs line: %v: %s", err, text))
	p.errs = append(p.errs, &netfilter.UnsupportedError{File: p.file, Line: line, What: what})
	doubt := &model.Doubt{What: "what " + what + " does", Evidence: fmt.Sprintf("%s:%d", p.file, line)}
	if e == nil || !e.named {
		if p.table.lost == nil {
			p.table.lost = doubt
		}
		return
	}
	s := p.find(&e.service)
	if s == nil {
		s = &e.service
		_ = p.add(s) // cannot be there yet
	}
	if s.lost == nil {
		s.lost = doubt
	}
}

func (p *parser) find(s *Service) *Service {
	if s.Mark != 0 {
		return p.table.marked[markKey{s.Mark, s.IPv6}]
	}
	return p.table.services[s.key()]
}

func (p *parser) add(s *Service) error {
	if p.find(s) != nil {
		return errTwice
	}
	if s.Mark != 0 {
		p.table.marked[markKey{s.Mark, s.IPv6}] = s
	} else {
		p.table.services[s.key()] = s
	}
	p.table.order = append(p.table.order, s)
	return nil
}

func (p *parser) addServer(e *entry) error {
	s := p.find(&e.service)
	switch {
	case !e.server.Addr.IsValid():
		return errServer
	case s == nil:
		return errNotAdded
	case e.server.Addr.Addr().Is6() != s.IPv6 && e.server.Method != Tunnel:
		return errFamily
	}
	if e.server.Method == Tunnel && e.server.Tunnel == "" {
		e.server.Tunnel = "ipip"
	}
	s.Servers = append(s.Servers, &e.server)
	p.table.servers++
	return nil
}

// An entry is one line as it is read.
type entry struct {
	service Service
	server  Server
	named   bool // the service
}

// read reads the words of a line.
func (e *entry) read(words []string, options map[string]option) error {
	var first error
	for i := 1; i < len(words); i++ {
		row, ok := options[words[i]]
		if !ok {
			first = cmpErr(first, fmt.Errorf("%w %s", errOption, words[i]))
			continue
		}
		arg := ""
		if row.arg != none && i+1 < len(words) && (row.arg == must || !strings.HasPrefix(words[i+1], "-")) {
			i++
			arg = words[i]
		}
		if row.arg == must && arg == "" {
			return fmt.Errorf("%w: %s", errValue, words[i])
		}
		if err := row.set(e, arg); err != nil {
			first = cmpErr(first, err)
		}
	}
	if first == nil && !e.named {
		first = errNoService
	}
	return first
}

func cmpErr(first, second error) error {
	if first != nil {
		return first
	}
	return second
}

// argument says whether an option has one.
type argument uint8

const (
	none argument = iota
	may
	must
)

type option struct {
	arg argument
	set func(e *entry, arg string) error
}

// options lists what ipvsadm-save writes, and the long names that people write.
func options() map[string]option {
	service := func(proto model.Protocol) option {
		return option{must, func(e *entry, arg string) error { return e.setAddr(proto, arg) }}
	}
	method := func(m Method) option {
		return option{none, func(e *entry, _ string) error { e.server.Method = m; return nil }}
	}
	word := func(field func(e *entry) *string) option {
		return option{must, func(e *entry, arg string) error { *field(e) = arg; return nil }}
	}
	skipped := func(arg argument) option {
		return option{arg, func(*entry, string) error { return nil }}
	}
	ops := option{none, func(e *entry, _ string) error { e.service.OnePacket = true; return nil }}
	ipv6 := option{none, func(e *entry, _ string) error { e.service.IPv6 = true; return nil }}
	limit := option{must, func(e *entry, arg string) (err error) { e.server.Limit, err = number(arg); return err }}
	weight := option{must, func(e *entry, arg string) (err error) { e.server.Weight, err = number(arg); return err }}
	flags := option{must, func(e *entry, arg string) error { e.service.Flags = strings.Split(arg, ","); return nil }}
	mark := option{must, (*entry).setMark}
	persistent := option{may, (*entry).setPersistent}
	server := option{must, (*entry).setServer}
	scheduler := word(func(e *entry) *string { return &e.service.Scheduler })
	engine := word(func(e *entry) *string { return &e.service.Engine })
	return map[string]option{
		"-t": service(model.TCP), "--tcp-service": service(model.TCP),
		"-u": service(model.UDP), "--udp-service": service(model.UDP),
		"--sctp-service": service(model.SCTP),
		"-f":             mark, "--fwmark-service": mark,
		"-6": ipv6, "--ipv6": ipv6,
		"-s": scheduler, "--scheduler": scheduler,
		"-b": flags, "--sched-flags": flags,
		"-p": persistent, "--persistent": persistent,
		"-M": skipped(must), "--netmask": skipped(must), // which clients count as one
		"-o": ops, "--ops": ops,
		"--pe": engine,
		"-r":   server, "--real-server": server,
		"-m": method(Masq), "--masquerading": method(Masq),
		"-i": method(Tunnel), "--ipip": method(Tunnel),
		"-g": method(Direct), "--gatewaying": method(Direct),
		"-w": weight, "--weight": weight,
		"-x": limit, "--u-threshold": limit,
		"-y": skipped(must), "--l-threshold": skipped(must), // below which it takes more again
		"--tun-type":   {must, (*entry).setTunnel},
		"--tun-port":   {must, (*entry).setTunnelPort},
		"--tun-nocsum": skipped(none), "--tun-csum": skipped(none), "--tun-remcsum": skipped(none),
	}
}

func number(arg string) (int, error) {
	n, err := strconv.ParseUint(arg, 10, 31)
	return int(n), err
}

func (e *entry) setAddr(proto model.Protocol, arg string) error {
	at, err := addrPort(arg)
	if err != nil {
		return err
	}
	e.service.Protocol, e.service.Addr, e.service.IPv6 = proto, at, at.Addr().Is6()
	e.named = true
	return nil
}

// addrPort reads "10.0.0.1:80" and "[fd00::1]:80"; without a port it is 0.
func addrPort(arg string) (netip.AddrPort, error) {
	if at, err := netip.ParseAddrPort(arg); err == nil {
		return netip.AddrPortFrom(at.Addr().Unmap().WithZone(""), at.Port()), nil
	}
	if a, err := netip.ParseAddr(strings.Trim(arg, "[]")); err == nil {
		return netip.AddrPortFrom(a.Unmap().WithZone(""), 0), nil
	}
	return netip.AddrPort{}, fmt.Errorf("%w: %s", errAddr, arg)
}

func (e *entry) setMark(arg string) error {
	n, err := strconv.ParseUint(arg, 10, 32)
	if err == nil && n == 0 {
		err = errNoService
	}
	e.service.Mark, e.named = uint32(n), err == nil
	return err
}

func (e *entry) setPersistent(arg string) (err error) {
	e.service.Persistent, e.service.Timeout = true, defaultTimeout
	if arg != "" {
		e.service.Timeout, err = number(arg)
	}
	return err
}

// defaultTimeout is what ipvsadm sets for -p without a value, in seconds.
const defaultTimeout = 360

func (e *entry) setServer(arg string) (err error) {
	e.server.Addr, err = addrPort(arg)
	return err
}

func (e *entry) setTunnel(arg string) error {
	switch arg {
	case "ipip", "gue", "gre":
		e.server.Tunnel = arg
		return nil
	}
	return fmt.Errorf("%w: --tun-type %s", errOption, arg)
}

func (e *entry) setTunnelPort(arg string) error {
	n, err := strconv.ParseUint(arg, 10, 16)
	e.server.TunnelPort = uint16(n)
	return err
}

func (k key) String() string {
	if k.mark != 0 && k.ipv6 {
		return fmt.Sprintf("mark %d (IPv6)", k.mark)
	}
	if k.mark != 0 {
		return fmt.Sprintf("mark %d", k.mark)
	}
	return fmt.Sprintf("%s %s", k.protocol, k.addr)
}
