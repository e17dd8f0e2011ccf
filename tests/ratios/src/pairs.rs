//! The order of blocks. What changes on the machine while it measures must not count for one side: so all sides take turns, and
//! every other round they do so backwards (A B B A).

use anyhow::Result;

/// Runs a block of each side in each round. The blocks of a side come back in the order of the rounds, so that blocks with the
/// same number are pairs.
pub async fn rounds<S, B>(
    sides: &[S],
    rounds: usize,
    mut block: impl AsyncFnMut(&S) -> Result<B>,
) -> Result<Vec<Vec<B>>> {
    let mut blocks: Vec<Vec<B>> = sides.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        for side in order(round, sides.len()) {
            blocks[side].push(block(&sides[side]).await?);
        }
    }
    Ok(blocks)
}

fn order(round: usize, sides: usize) -> Vec<usize> {
    if round.is_multiple_of(2) { (0..sides).collect() } else { (0..sides).rev().collect() }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[tokio::test]
    async fn the_second_round_goes_backwards_and_pairs_stay_pairs() {
        let turns = RefCell::new(Vec::new());
        let block = async |side: &char| {
            turns.borrow_mut().push(*side);
            Ok(turns.borrow().len())
        };
        let blocks = rounds(&['A', 'B'], 2, block).await.unwrap();
        assert_eq!(turns.into_inner(), ['A', 'B', 'B', 'A']);
        assert_eq!(blocks, [[1, 4], [2, 3]]);
    }
}
