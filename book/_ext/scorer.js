// How the search orders what it finds: a page whose title has the word comes before a function.
var Scorer = {
  score: ([, , , , score]) => score,
  objNameMatch: 11,
  objPartialMatch: 3,
  objPrio: { 0: 4, 1: 0, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 20,
  term: 5,
  partialTerm: 2,
};
