package netfilter

import "github.com/pathsnap/pathsnap/analyze/model"

// Choices enumerates every sequence of answers to the open questions of a run,
// by running it again with the last open answer changed:
//
//	for c := netfilter.NewChoices(); c.Next(); {
//		run(c) // asks c.Pick and c.Doubt
//		use(c.Share(), c.Doubts())
//	}
//
// A run must ask the same questions again when it gets the same answers.
type Choices struct {
	answers []choice
	pos     int
	started bool
}

type choice struct {
	option, options int
	weights         []float64 // nil for a doubt
	doubt           model.Doubt
}

// NewChoices returns a Choices before its first run.
func NewChoices() *Choices { return &Choices{} }

// Next prepares the next run and reports whether there is one.
func (c *Choices) Next() bool {
	c.pos = 0
	if !c.started {
		c.started = true
		return true
	}
	for n := len(c.answers); n > 0; n-- {
		last := &c.answers[n-1]
		if last.option+1 < last.options {
			last.option++
			c.answers = c.answers[:n]
			return true
		}
	}
	return false
}

// Pick returns which of len(weights) ways this run takes. The weights are
// relative: how much of the traffic takes each way. Ways of weight 0 are
// never taken unless all are 0.
func (c *Choices) Pick(weights []float64) int {
	ways := 0
	for _, w := range weights {
		if w > 0 {
			ways++
		}
	}
	switch ways {
	case 0:
		return 0
	case 1:
		return nth(weights, 0)
	}
	if c.pos < len(c.answers) { // asked again
		c.pos++
		return nth(weights, min(c.answers[c.pos-1].option, ways-1)) // beside another run the question may be another one
	}
	return nth(weights, c.answer(choice{options: ways, weights: normalized(weights, ways)}))
}

// nth returns the n-th way that has a weight.
func nth(weights []float64, n int) int {
	for i, w := range weights {
		if w <= 0 {
			continue
		}
		if n == 0 {
			return i
		}
		n--
	}
	return 0
}

// Doubt reports which way this run takes on a question that the bundle leaves
// open: true in one run, false in another.
func (c *Choices) Doubt(d model.Doubt) bool {
	return c.answer(choice{options: 2, doubt: d}) == 0
}

func (c *Choices) answer(q choice) int {
	if c.pos == len(c.answers) {
		c.answers = append(c.answers, q)
	}
	c.pos++
	return c.answers[c.pos-1].option
}

// Share returns how much of the traffic takes the ways of this run: the
// product of the shares picked. A doubt does not divide it.
func (c *Choices) Share() float64 {
	share := 1.0
	for _, a := range c.answers[:c.pos] {
		if a.weights != nil {
			share *= a.weights[a.option]
		}
	}
	return share
}

// Doubts returns the open questions that this run met.
func (c *Choices) Doubts() (doubts []model.Doubt) {
	for _, a := range c.answers[:c.pos] {
		if a.weights == nil {
			doubts = append(doubts, a.doubt)
		}
	}
	return doubts
}

// normalized returns the shares of the ways that have a weight.
func normalized(weights []float64, ways int) []float64 {
	sum := 0.0
	for _, w := range weights {
		sum += max(w, 0)
	}
	shares := make([]float64, 0, ways)
	for _, w := range weights {
		if w > 0 {
			shares = append(shares, w/sum)
		}
	}
	return shares
}

// Certain records a doubt that has only one way: the run cannot go on.
func (c *Choices) Certain(d model.Doubt) { c.answer(choice{options: 1, doubt: d}) }

// Beside returns choices for a run beside this one, from where it had met only
// the first asked questions: the same question gets the same answer there.
func (c *Choices) Beside(asked int) *Choices {
	return &Choices{answers: append([]choice(nil), c.answers[:c.pos]...), pos: asked, started: true}
}

// Asked returns how many questions this run has met so far.
func (c *Choices) Asked() int { return c.pos }
