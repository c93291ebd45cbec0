// Package report shows a diagnosis: as text for people, as JSON for programs,
// and as a picture (DOT, SVG, PNG).
//
// The walk fills one [Diagnosis]; every format is a view of it and equal
// diagnoses give equal bytes.
package report
