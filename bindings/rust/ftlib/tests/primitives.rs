// SPDX-License-Identifier: Apache-2.0
use ftlib::primitives::*;
use ftlib::Status;

#[test]
fn nf4_goes_there_and_back() {
    let values: Vec<f32> = (0..200).map(|i| (i as f32).sin()).collect();
    let (mut codes, mut absmax, mut back) = ([0u8; 100], [0f32; 4], [0f32; 200]);
    nf4_quantize(&values, 64, &mut codes, &mut absmax).unwrap();
    let worst = |back: &[f32]| values.iter().zip(back).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    nf4_dequantize(&Weight::nf4(&codes, Absmax::Single(&absmax), 64, 10, 20).unwrap(), &mut back).unwrap();
    assert!(worst(&back) < 0.16);
    let (mut small, mut nested_scales) = ([0u8; 4], [0f32; 1]);
    let offset = double_quantize(&absmax, &mut small, &mut nested_scales).unwrap();
    let double = Absmax::Double { codes: &small, nested_scales: &nested_scales, offset };
    nf4_dequantize(&Weight::nf4(&codes, double, 64, 10, 20).unwrap(), &mut back).unwrap();
    assert!(worst(&back) < 0.17);
    let mut halves = [Bf16::default(); 200];
    nf4_dequantize(&Weight::nf4(&codes, Absmax::Single(&absmax), 64, 10, 20).unwrap(), &mut halves).unwrap();
    assert_ne!(halves[1].0, 0);
    assert_eq!(nf4_quantize(&values, 64, &mut codes[..99], &mut absmax).unwrap_err().status(), Status::InvalidArgument);
    assert_eq!(nf4_quantize(&[f32::NAN], 64, &mut codes[..1], &mut absmax[..1]).unwrap_err().status(), Status::NonFinite);
}

#[test]
fn a_lora_linear_and_its_gradients() {
    let (x, w, a, b) = ([1f32, 2.0], [1f32, 0.0, 0.0, 1.0], [1f32, 1.0], [2f32, 3.0]);
    let (x, a, b) = (Matrix::new(&x, 1, 2).unwrap(), Matrix::new(&a, 1, 2).unwrap(), Matrix::new(&b, 2, 1).unwrap());
    let weight = Weight::dense(&w, 2, 2).unwrap();
    let (mut u, mut y) = ([0f32], [0f32; 2]);
    lora_linear(&x, &weight, Some(&[1.0, 1.0]), &a, &b, 0.5, &mut MatrixMut::new(&mut u, 1, 1).unwrap(),
                &mut MatrixMut::new(&mut y, 1, 2).unwrap())
        .unwrap();
    assert_eq!(y, [5.0, 7.5]);
    let (mut du, mut d_a, mut d_b, mut dx) = ([0f32], [0f32; 2], [0f32; 2], [0f32; 2]);
    let ones = [1f32; 2];
    lora_linear_backward(&Matrix::new(&ones, 1, 2).unwrap(), &x, &weight, &a, &b, &Matrix::new(&u, 1, 1).unwrap(), 0.5,
                         &mut MatrixMut::new(&mut du, 1, 1).unwrap(), &mut MatrixMut::new(&mut d_a, 1, 2).unwrap(),
                         &mut MatrixMut::new(&mut d_b, 2, 1).unwrap(), Some(&mut MatrixMut::new(&mut dx, 1, 2).unwrap()))
        .unwrap();
    assert_eq!((d_a, d_b, dx), ([2.5, 5.0], [1.5, 1.5], [3.5, 3.5]));
    assert!(Matrix::new(&ones, 2, 2).is_err());
}

#[test]
fn optimisers_clipping_and_loss() {
    let (mut p, mut g, mut m, mut v) = ([1f32, 2.0], [3f32, 4.0], [0f32; 2], [0f32; 2]);
    assert_eq!(clip_grad_norm(&mut [&mut g], 0.0).unwrap(), 5.0);
    let adamw = AdamW { lr: 0.5, ..Default::default() };
    adamw.step(1, &mut p, &g, 1.0, &mut m, &mut v).unwrap();
    assert!((p[0] - 0.5).abs() < 1e-5);
    let (mut p, mut codes, mut absmax) = ([1f32, 2.0], [[0u8; 2]; 2], [[0f32]; 2]);
    let [codes_m, codes_v] = &mut codes;
    let [absmax_m, absmax_v] = &mut absmax;
    adamw.step_8bit(1, &mut p, &g, 1.0, (codes_m, absmax_m), (codes_v, absmax_v)).unwrap();
    assert!((p[0] - 0.5).abs() < 1e-5);
    assert!(adamw.step(0, &mut p, &g, 1.0, &mut m, &mut v).is_err());
    let (logits, mut nll, mut d) = ([0f32; 4], [0f32; 2], [0f32; 4]);
    cross_entropy(&Matrix::new(&logits, 2, 2).unwrap(), &[0, 1], None, 1.0, &mut nll,
                  Some(&mut MatrixMut::new(&mut d, 2, 2).unwrap()))
        .unwrap();
    assert!((nll[0] - 2f32.ln()).abs() < 1e-6);
    assert_eq!(d, [-0.5, 0.5, 0.5, -0.5]);
}
